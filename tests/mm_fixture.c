/* SPDX-License-Identifier: MIT */
/* mm_fixture.c - see mm_fixture.h. */
#include "test.h"

#include <errno.h>

#include "engine/store/store.h"
#include "engine/virt/ksm.h"
#include "godwit/zone.h"
#include "mm_fixture.h"

#define FRAMES	  4096
#define NODES_MAX 4

uint64_t
free_frames(struct spaces *s)
{
	struct gw_zone_info info;
	uint64_t n = 0;

	gw_lru_add_drain_all(s->m);
	for (unsigned z = 0; gw_zone_info(s->m, z, &info) == 0; z++)
		n += info.free + info.pcp;
	return n;
}

static struct spaces *
create(unsigned n_cpus, unsigned n_nodes, gw_pfn_t node_frames, unsigned pageblock_order)
{
	struct gw_zone_config zones[NODES_MAX];
	struct gw_machine_config config;
	struct gw_error err = {""};
	struct spaces *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	assert_true(n_nodes <= NODES_MAX);
	for (unsigned i = 0; i < n_nodes; i++)
		zones[i] = (struct gw_zone_config){.name = "Normal",
			.node = i,
			.start = i * node_frames,
			.end = (i + 1) * node_frames};
	gw_machine_config_init(&config);
	config.n_cpus = n_cpus;
	config.max_order = pageblock_order + 1;
	config.pageblock_order = pageblock_order;
	config.n_frames = n_nodes * node_frames;
	config.zones = zones;
	config.n_zones = n_nodes;
	if (gw_soft_create(&config, &s->soft, &err))
		fail_msg("%s", err.text);
	s->m = gw_soft_machine(s->soft);
	assert_int_equal(gw_task_attach(&s->task, s->m, 0), 0);
	gw_mm_put(new_space(s)); /* makes the zero page, which stays */
	s->free = free_frames(s);
	return s;
}

struct spaces *
spaces_of(unsigned n_cpus, unsigned n_nodes, gw_pfn_t node_frames)
{
	return create(n_cpus, n_nodes, node_frames, 4);
}

struct spaces *
spaces_create(gw_pfn_t n_frames)
{
	return create(2, 1, n_frames, 4);
}

struct spaces *
spaces_create_orders(gw_pfn_t n_frames, unsigned pageblock_order)
{
	return create(2, 1, n_frames, pageblock_order);
}

static void
print_finding(void *ctx, const char *line)
{
	(void)ctx;
	print_error("%s\n", line);
}

void
spaces_destroy(struct spaces *s)
{
	assert_int_equal(free_frames(s), s->free);
	assert_int_equal(gw_machine_check(s->m, print_finding, NULL), 0);
	gw_task_detach(&s->task);
	gw_rcu_barrier(); /* freed anon_vmas are on their way */
	gw_soft_destroy(s->soft);
	free(s);
}

int
spaces_setup(void **state)
{
	*state = spaces_create(FRAMES);
	return 0;
}

int
spaces_teardown(void **state)
{
	spaces_destroy(*state);
	return 0;
}

struct gw_mm *
new_space(struct spaces *s)
{
	struct gw_mm *mm = NULL;

	assert_int_equal(gw_mm_create(s->m, &mm), 0);
	return mm;
}

struct gw_mm *
fork_space(struct gw_mm *mm)
{
	struct gw_mm *child = NULL;

	assert_int_equal(gw_mm_fork(mm, &child), 0);
	return child;
}

gw_vaddr_t
map(struct gw_mm *mm, unsigned pages)
{
	gw_vaddr_t addr = 0;

	assert_int_equal(gw_mmap(mm, 0, pages * PAGE, READWRITE, 0, &addr), 0);
	return addr;
}

void
map_at(struct gw_mm *mm, gw_vaddr_t addr, unsigned pages)
{
	gw_vaddr_t out = 0;

	assert_int_equal(gw_mmap(mm, addr, pages * PAGE, READWRITE, GW_MAP_FIXED, &out), 0);
	assert_int_equal(out, addr);
}

int
try_peek(struct spaces *s, unsigned cpu, struct gw_mm *mm, gw_vaddr_t addr, uint64_t *value)
{
	struct gw_task task;
	int err;

	assert_int_equal(gw_task_attach(&task, s->m, cpu), 0);
	err = gw_cpu_load(mm, addr, value);
	gw_task_detach(&task);
	return err;
}

int
try_poke(struct spaces *s, unsigned cpu, struct gw_mm *mm, gw_vaddr_t addr, uint64_t value)
{
	struct gw_task task;
	int err;

	assert_int_equal(gw_task_attach(&task, s->m, cpu), 0);
	err = gw_cpu_store(mm, addr, value);
	gw_task_detach(&task);
	return err;
}

uint64_t
peek(struct gw_mm *mm, gw_vaddr_t addr)
{
	uint64_t value = 0;

	assert_int_equal(gw_cpu_load(mm, addr, &value), 0);
	return value;
}

void
poke(struct gw_mm *mm, gw_vaddr_t addr, uint64_t value)
{
	assert_int_equal(gw_cpu_store(mm, addr, value), 0);
}

gw_pte_t
entry_of(struct gw_mm *mm, gw_vaddr_t addr)
{
	gw_spinlock *lock;
	gw_atomic_u64 *word = gw_entry_lock(mm, addr, &lock);
	gw_pte_t pte;

	if (!word)
		return 0;
	pte = gw_u64_load_relaxed(word);
	gw_spin_unlock(lock);
	if (gw_pte_is_huge(pte))
		pte += (addr % TABLE / PAGE) << GW_PTE_PFN_SHIFT;
	return pte;
}

gw_pfn_t
page_of(struct gw_mm *mm, gw_vaddr_t addr)
{
	gw_pte_t pte = entry_of(mm, addr);

	assert_int_equal(gw_pte_kind(pte), GW_PTE_IS_PRESENT);
	return gw_pte_pfn(pte);
}

/* With a reference; NULL of a file page. Page locked and mapped. */
static struct gw_anon_vma *
anon_vma_of(struct spaces *s, gw_pfn_t page)
{
	struct gw_anon_vma *anon_vma = gw_page_get_anon_vma(s->m, page);

	assert_true(anon_vma || gw_page_mapping(s->m, page) || gw_page_ksm_node(s->m, page));
	return anon_vma;
}

static void
put_anon_vma(struct gw_anon_vma *anon_vma)
{
	if (anon_vma)
		gw_anon_vma_put(anon_vma);
}

struct gw_anon_vma *
freeze_entries(struct spaces *s, gw_pfn_t page)
{
	struct gw_anon_vma *anon_vma;

	gw_get_page(s->m, page);
	gw_page_lock(s->m, page);
	anon_vma = anon_vma_of(s, page);
	assert_true(gw_unmap_for_migration(s->m, page, anon_vma) > 0);
	s->m->ops->flush_frames(s->m->ctx, &page, 1);
	return anon_vma;
}

void
thaw_entries(struct spaces *s, gw_pfn_t page, struct gw_anon_vma *anon_vma)
{
	gw_remove_migration_entries(s->m, page, page, anon_vma);
	gw_page_unlock(s->m, page);
	put_anon_vma(anon_vma);
	gw_put_page(s->m, page);
}

bool
bounce_entries(struct spaces *s, gw_pfn_t page)
{
	struct gw_anon_vma *anon_vma;
	int n = -EAGAIN;

	gw_get_page(s->m, page);
	gw_page_lock(s->m, page);
	anon_vma = gw_page_get_anon_vma(s->m, page);
	if (anon_vma || gw_page_mapping(s->m, page) || gw_page_ksm_node(s->m, page)) {
		n = gw_unmap_for_migration(s->m, page, anon_vma);
		if (n > 0)
			gw_remove_migration_entries(s->m, page, page, anon_vma);
		put_anon_vma(anon_vma);
	}
	gw_page_unlock(s->m, page);
	gw_put_page(s->m, page);
	return n > 0;
}

static bool
note_place(struct gw_rmap_walk *walk, struct gw_vma *vma, gw_vaddr_t addr)
{
	struct places *places = walk->ctx;

	assert_true(places->n < 8);
	places->mm[places->n] = vma->mm;
	places->addr[places->n++] = addr;
	return true;
}

struct places
places_of(struct spaces *s, gw_pfn_t page)
{
	struct places places = {0};
	struct gw_rmap_walk walk = {.visit = note_place, .page = page, .ctx = &places};

	gw_page_lock(s->m, page);
	walk.anon_vma = anon_vma_of(s, page);
	gw_rmap_walk(s->m, &walk);
	put_anon_vma(walk.anon_vma);
	gw_page_unlock(s->m, page);
	return places;
}

/* ---- verify ---- */

struct count {
	unsigned *entries; /* by a page's first frame: of all its frames, huge ones once */
	unsigned *slots;   /* entries that name it, by swap slot */
	gw_pfn_t page;
	unsigned found; /* by rmap */
};

static void
count_space(struct gw_mm *mm, struct count *c)
{
	uint64_t rss = 0, vmas = 0, huge = 0;
	gw_vaddr_t before = 0;
	const struct gw_vma *vma;

	for (vma = gw_vma_find(mm, 0); vma; vma = gw_vma_find(mm, before)) {
		assert_true(gw_vma_start(vma) >= before && gw_vma_end(vma) > gw_vma_start(vma));
		before = gw_vma_end(vma);
		vmas++;
		for (gw_vaddr_t addr = gw_vma_start(vma); addr < before; addr += PAGE) {
			gw_pte_t pte = entry_of(mm, addr);

			assert_false(gw_pte_is_migration(pte)); /* V3: nothing migrates now */
			if (!pte || pte & GW_PTE_ZERO)
				continue;
			if (gw_pte_kind(pte) == GW_PTE_IS_SWAP) {
				c->slots[gw_pte_slot(pte)]++;
				continue;
			}
			assert_false(pte & GW_PTE_WRITE && !(vma->flags & GW_VM_WRITE));
			rss++;
			if (gw_pte_is_huge(pte) && addr % TABLE)
				continue;
			huge += gw_pte_is_huge(pte);
			c->entries[gw_page_head(mm->machine, gw_pte_pfn(pte))]++;
		}
	}
	assert_int_equal(huge, mm->deposits.n);
	assert_int_equal(rss, gw_mm_pages(mm));
	assert_int_equal(vmas, mm->n_vmas);
}

static bool
count_place(struct gw_rmap_walk *walk, struct gw_vma *vma, gw_vaddr_t addr)
{
	struct count *c = walk->ctx;
	struct gw_entries e;

	gw_entries_begin(&e, walk, vma, addr);
	while (gw_entries_next(&e))
		c->found += gw_pte_maps(gw_u64_load_relaxed(e.word), e.frame);
	return true;
}

/* References that are not entries'. */
static uint32_t
other_refs(struct spaces *s, gw_pfn_t page)
{
	uint64_t index;

	return (gw_page_cache(s->m, page, &index) ? 1u : 0u) +
	       (gw_page_flags(gw_page(s->m, page)) & GW_PG_PRIVATE ? 1u : 0u);
}

static void
verify_page(struct spaces *s, struct count *c)
{
	const struct gw_page *page = gw_page(s->m, c->page);
	struct gw_rmap_walk walk = {.visit = count_place, .page = c->page, .ctx = c};

	assert_int_equal(gw_u32_load_relaxed(&page->mapcount), c->entries[c->page]);  /* V1 */
	assert_int_equal(gw_page_total_mapcount(s->m, c->page), c->entries[c->page]); /* B9 */
	if (!c->entries[c->page])
		return;
	gw_page_lock(s->m, c->page);
	assert_int_equal(
		gw_ref_read(&page->refcount), c->entries[c->page] + other_refs(s, c->page));
	walk.anon_vma = anon_vma_of(s, c->page);
	c->found = 0;
	gw_rmap_walk(s->m, &walk);
	put_anon_vma(walk.anon_vma);
	gw_page_unlock(s->m, c->page);
	assert_int_equal(c->found, c->entries[c->page]); /* V2 */
}

static void
verify_slots(struct spaces *s, const struct count *c)
{
	struct gw_swap_info swap;

	gw_swap_info(s->m, &swap);
	for (uint32_t slot = 0; slot < swap.slots; slot++)
		assert_int_equal(gw_swap_count(s->m, slot), c->slots[slot]);
}

void
verify(struct spaces *s, struct gw_mm *const *spaces, unsigned n)
{
	struct count c = {.entries = calloc(s->m->n_frames, sizeof(*c.entries))};
	struct gw_swap_info swap;

	gw_swap_info(s->m, &swap);
	c.slots = calloc(swap.slots + 1, sizeof(*c.slots));
	assert_non_null(c.entries);
	assert_non_null(c.slots);
	gw_lru_add_drain_all(s->m);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(gw_soft_check(s->soft, spaces[i], print_finding, NULL), 0);
		count_space(spaces[i], &c);
	}
	for (c.page = 0; c.page < s->m->n_frames; c.page++)
		if (gw_flags_type(gw_page_flags(gw_page(s->m, c.page))) == GW_PAGE_USED)
			verify_page(s, &c);
	verify_slots(s, &c);
	free(c.entries);
	free(c.slots);
	assert_int_equal(gw_machine_check(s->m, print_finding, NULL), 0);
}

void
end_spaces(struct spaces *s, struct gw_mm *const *spaces, unsigned n)
{
	verify(s, spaces, n);
	for (unsigned i = 0; i < n; i++)
		gw_mm_put(spaces[i]);
}
