/* SPDX-License-Identifier: MIT */
/*
 * test_misplaced.c - a page of a cache that is pulled over by the fault which maps it: document E
 * (FACTS 1.7), row by row.
 *
 * Two nodes with a CPU each. A page that CPU 0 has read is on node 0; the fault that maps it is
 * CPU 1's. Policy look-ups, page trylocks and puts go through the linker's --wrap.
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "godwit/memcg.h"
#include "godwit/swap.h"
#include "nodes_fixture.h"

#define INDEX 5 /* of the page */

/* What a test wants to happen, and what happened; tasks change it with the page locked. */
static struct {
	unsigned lookups;      /* of the policy */
	gw_pfn_t refused_from; /* no page from here on can be locked; 0: all can */
	gw_pfn_t old;	       /* the page on node 0 */
	bool old_was_charged;  /* when it was put last */
	int migrate_says;      /* what the store's callback returns without moving */
	unsigned migrations;   /* calls of it */
	uint32_t refs_at_move; /* of the old page */
	enum gw_migrate_mode mode;
	jmp_buf bug;
} seen;

int __real_gw_policy_misplaced(
	const struct gw_machine *m, const struct gw_policy *policy, uint64_t index, unsigned node);
int __wrap_gw_policy_misplaced(
	const struct gw_machine *m, const struct gw_policy *policy, uint64_t index, unsigned node);
bool __real_gw_page_trylock(struct gw_machine *m, gw_pfn_t page);
bool __wrap_gw_page_trylock(struct gw_machine *m, gw_pfn_t page);
void __real_gw_put_page(struct gw_machine *m, gw_pfn_t page);
void __wrap_gw_put_page(struct gw_machine *m, gw_pfn_t page);

int
__wrap_gw_policy_misplaced(
	const struct gw_machine *m, const struct gw_policy *policy, uint64_t index, unsigned node)
{
	seen.lookups++;
	return __real_gw_policy_misplaced(m, policy, index, node);
}

bool
__wrap_gw_page_trylock(struct gw_machine *m, gw_pfn_t page)
{
	if (seen.refused_from && page >= seen.refused_from)
		return false;
	return __real_gw_page_trylock(m, page);
}

void
__wrap_gw_put_page(struct gw_machine *m, gw_pfn_t page)
{
	if (page == seen.old && page != 0 && gw_ref_read(&gw_page(m, page)->refcount) == 1)
		seen.old_was_charged = gw_page_flags(gw_page(m, page)) & GW_PG_CHARGED;
	__real_gw_put_page(m, page);
}

/* ---- a machine with a file, whose page INDEX is cached on node 0 and mapped nowhere ---- */

struct world {
	struct nodes *w;
	struct store *store;
	struct gw_backing_ops ops;
	struct gw_mapping *file;
	struct gw_mm *mm;
	gw_vaddr_t addr; /* of the page */
	gw_pfn_t page;
	gw_pfn_t asked; /* what ask() returned, until it is answered; or GW_PFN_NONE */
};

static int
watched_migrate(struct gw_mapping *mapping, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode)
{
	seen.migrations++;
	seen.refs_at_move = gw_ref_read(&gw_page(mapping->machine, src)->refcount);
	seen.mode = mode;
	return seen.migrate_says ? seen.migrate_says : gw_mapping_migrate(mapping, dst, src, mode);
}

/* CPU 0 reads the page; nobody keeps it. */
static gw_pfn_t
cache_page(struct world *x, struct gw_mapping *file)
{
	gw_pfn_t page;
	uint8_t byte;

	on_cpu(x->w, 0);
	assert_int_equal(gw_mapping_read(file, INDEX * PAGE, &byte, 1), 0);
	off_cpu(x->w);
	gw_lru_add_drain_all(x->w->m);
	page = gw_mapping_find(file, INDEX);
	gw_put_page(x->w->m, page);
	assert_int_equal(node_of(x->w, page), 0);
	return page;
}

static gw_vaddr_t
map_page(struct gw_mm *mm, struct gw_mapping *file, unsigned flags)
{
	gw_vaddr_t addr = 0;

	assert_int_equal(
		gw_mmap_file(mm, 0, PAGE, READWRITE, GW_MAP_SHARED | flags, file, INDEX, &addr), 0);
	return addr;
}

static int
setup(void **state)
{
	struct world *x = calloc(1, sizeof(*x));

	assert_non_null(x);
	memset(&seen, 0, sizeof(seen));
	x->w = nodes_create(2, 2, NULL, NULL, 10);
	x->w->numa.migrate_on_fault = true;
	set_numa(x->w);
	x->store = store_create();
	x->ops = store_ops;
	x->ops.migrate = watched_migrate;
	assert_int_equal(
		gw_mapping_create(x->w->m, &x->ops, x->store, STORE_PAGES, 0, &x->file), 0);
	x->mm = new_space(&x->w->s);
	x->addr = map_page(x->mm, x->file, 0);
	x->page = cache_page(x, x->file);
	x->asked = GW_PFN_NONE;
	*state = x;
	return 0;
}

static uint32_t
refs(struct world *x, gw_pfn_t page)
{
	return gw_ref_read(&gw_page(x->w->m, page)->refcount);
}

static bool
has(struct world *x, gw_pfn_t page, uint32_t flags)
{
	return (gw_page_flags(gw_page(x->w->m, page)) & flags) == flags;
}

/* CPU 1 reads through the mapping; returns the page that it found. */
static gw_pfn_t
fault_in(struct world *x, struct gw_mm *mm, gw_vaddr_t addr)
{
	uint64_t value = 0, expected = 0;

	assert_int_equal(try_peek(&x->w->s, 1, mm, addr, &value), 0);
	for (unsigned i = 0; i < 8; i++)
		expected |= (uint64_t)pattern(INDEX, i) << 8 * i;
	assert_int_equal(value, expected);
	return page_of(mm, addr);
}

/* The same; the page stayed, with the references of the cache and of the entries. */
static void
assert_stays(struct world *x, uint32_t entries)
{
	assert_int_equal(fault_in(x, x->mm, x->addr), x->page);
	assert_int_equal(refs(x, x->page), 1 + entries);
	assert_false(has(x, x->page, GW_PG_ISOLATED));
	assert_false(has(x, x->page, GW_PG_LOCKED));
	assert_true(has(x, x->page, GW_PG_LRU));
}

/* What a fault does between finding the page and mapping it: CPU 1, the page locked and with a
 * reference of the fault. */
static gw_pfn_t
ask(struct world *x)
{
	const struct gw_vma *vma = gw_vma_find(x->mm, x->addr);
	gw_pfn_t page;

	on_cpu(x->w, 1);
	gw_get_page(x->w->m, x->page);
	gw_page_lock(x->w->m, x->page);
	page = gw_check_misplaced(x->w->m, x->page, vma, x->addr);
	off_cpu(x->w);
	x->asked = page;
	return page;
}

static void
answer(struct world *x, gw_pfn_t page)
{
	x->asked = GW_PFN_NONE;
	gw_page_unlock(x->w->m, page);
	gw_put_page(x->w->m, page);
}

static int
teardown(void **state)
{
	struct world *x = *state;

	if (x->asked != GW_PFN_NONE) /* the test has failed, and nobody else will unlock it */
		answer(x, x->asked);
	gw_mm_put(x->mm);
	file_put(x->file);
	store_destroy(x->store);
	nodes_destroy(x->w);
	free(x);
	return 0;
}

/* ---- the rows ---- */

/* E1, E11: the fault maps the page that took the other's place, on its own node, bytes and all; the
 * old frame is free. */
static void
e1_page_is_pulled_over(void **state)
{
	struct world *x = *state;
	gw_pfn_t page = fault_in(x, x->mm, x->addr);

	assert_int_equal(node_of(x->w, page), 1);
	assert_int_not_equal(gw_flags_type(gw_page_flags(gw_page(x->w->m, x->page))), GW_PAGE_USED);
	assert_int_equal(gw_mapping_cached(x->file), 1);
	assert_int_equal(seen.migrations, 1);
	assert_int_equal(events(x->w, GW_VM_PGMIGRATE_SUCCESS), 1);
}

/* E1: so is a page of the swap cache. */
static void
e1_page_of_the_swap_cache(void **state)
{
	struct world *x = *state;
	gw_vaddr_t addr = map(x->mm, 1);
	uint64_t value = 0;
	gw_pfn_t page;
	void *ctx;

	assert_int_equal(gw_soft_ram_backing(16, &ctx), 0);
	assert_int_equal(gw_swap_on(x->w->m, &gw_soft_ram_ops, ctx, 16), 0);
	poke(x->mm, addr, 77);
	page = page_of(x->mm, addr);
	gw_get_page(x->w->m, page); /* so that it is unmapped, and stays in the swap cache */
	assert_int_equal(gw_madvise(x->mm, addr, PAGE, GW_MADV_PAGEOUT), 0);
	gw_put_page(x->w->m, page);
	assert_int_equal(gw_pte_kind(entry_of(x->mm, addr)), GW_PTE_IS_SWAP);
	assert_true(has(x, page, GW_PG_SWAPCACHE));
	assert_int_equal(try_peek(&x->w->s, 1, x->mm, addr, &value), 0);
	assert_int_equal(value, 77);
	assert_int_equal(node_at(x->w, x->mm, addr), 1);
}

/* E2, first: somebody maps it. E3: the policy was not asked. */
static void
e2_mapped(void **state)
{
	struct world *x = *state;
	struct gw_mm *other = new_space(&x->w->s);
	gw_vaddr_t addr = map_page(other, x->file, 0);
	uint64_t value;

	assert_int_equal(try_peek(&x->w->s, 0, other, addr, &value), 0);
	seen.lookups = 0;
	assert_stays(x, 2);
	assert_int_equal(seen.lookups, 0);
	gw_mm_put(other);
}

/* E2, second: it is under writeback. E3 */
static void
e2_writeback(void **state)
{
	struct world *x = *state;

	gw_u32_or_relaxed(&gw_page(x->w->m, x->page)->flags, GW_PG_WRITEBACK);
	assert_stays(x, 1);
	assert_int_equal(seen.lookups, 0);
	gw_u32_and_relaxed(&gw_page(x->w->m, x->page)->flags, ~GW_PG_WRITEBACK);
}

/* E2, third: it is not up to date. E3 */
static void
e2_not_uptodate(void **state)
{
	struct world *x = *state;
	gw_pfn_t page;

	gw_u32_and_relaxed(&gw_page(x->w->m, x->page)->flags, ~GW_PG_UPTODATE);
	page = ask(x);
	assert_int_equal(page, x->page);
	assert_int_equal(seen.lookups, 0);
	answer(x, page);
}

/* E2, fourth: its store has no way to migrate it. It is not written out and read again. E3 */
static void
e2_store_cannot_migrate(void **state)
{
	struct world *x = *state;

	x->ops.migrate = NULL;
	gw_page_set_dirty(x->w->m, x->page);
	assert_stays(x, 1);
	assert_int_equal(seen.lookups, 0);
	assert_int_equal(gw_u32_load_relaxed(&x->store->writes), 0);
}

/* E2, last: the policy says that it is where it belongs. */
static void
e2_not_misplaced(void **state)
{
	struct world *x = *state;

	bind_range(x->mm, x->addr, 1, policy(GW_POLICY_PREFERRED, 1));
	assert_stays(x, 1);
	assert_int_equal(seen.lookups, 1);
	assert_int_equal(seen.migrations, 0);
}

/* E3: one look-up for a page that passes. The VMA's policy decides, not where the CPU is. */
static void
e3_policy_is_asked_once(void **state)
{
	struct world *x = *state;
	uint64_t value;

	bind_range(x->mm, x->addr, 1, policy(GW_POLICY_BIND, 2));
	assert_int_equal(try_peek(&x->w->s, 0, x->mm, x->addr, &value), 0);
	assert_int_equal(node_at(x->w, x->mm, x->addr), 1);
	assert_int_equal(seen.lookups, 1);
}

static void
jump(void *ctx, const char *message)
{
	(void)ctx;
	(void)message;
	longjmp(seen.bug, 1);
}

/* E4: to move a page that is not locked is a bug. (Of the other preconditions E2 takes care.) */
static void
e4_preconditions_are_fatal(void **state)
{
	struct world *x = *state;

	x->w->ops.bug = jump;
	on_cpu(x->w, 1);
	if (!setjmp(seen.bug)) {
		(void)gw_check_misplaced(x->w->m, x->page, gw_vma_find(x->mm, x->addr), x->addr);
		fail();
	}
	off_cpu(x->w);
	x->w->ops.bug = x->w->real_ops->bug;
	assert_int_equal(refs(x, x->page), 1);
}

/* E5: a page that cannot be isolated stays, locked, for the fault. */
static void
e5_page_cannot_be_isolated(void **state)
{
	struct world *x = *state;
	gw_pfn_t page;

	assert_int_equal(gw_lru_isolate(x->w->m, x->page, GW_ISOLATE_BOTH), 0);
	page = ask(x);
	assert_int_equal(page, x->page);
	assert_true(has(x, page, GW_PG_LOCKED));
	assert_int_equal(seen.lookups, 1);
	assert_int_equal(seen.migrations, 0);
	assert_int_equal(events(x->w, GW_VM_PGMIGRATE_FAIL), 0);
	assert_int_equal(refs(x, page), 3); /* the cache's, ours, and the fault's */
	answer(x, page);
	gw_lru_putback(x->w->m, x->page);
	gw_put_page(x->w->m, x->page);
}

/* E6: the wanted node or none; its reserve, below the min watermark, is not touched, and nobody
 * waits for reclaim. */
static void
e6_node_is_full(void **state)
{
	struct world *x = *state;
	struct hog h;

	hog(x->w, &h, 1, 10);
	assert_stays(x, 1);
	assert_int_equal(seen.lookups, 1);
	assert_int_equal(seen.migrations, 0);
	assert_int_equal(free_on(x->w, 1), 10);
	assert_int_equal(events(x->w, GW_VM_ALLOCSTALL), 0);
	unhog(x->w, &h);
}

/* E7, as A4 relaxed it: somebody has the new page locked. It is given back, and the old one used.
 */
static void
e7_new_page_is_locked(void **state)
{
	struct world *x = *state;
	uint64_t free = free_on(x->w, 1);
	gw_pfn_t page;

	seen.refused_from = NODE_FRAMES;
	page = ask(x);
	seen.refused_from = 0;
	assert_int_equal(page, x->page);
	assert_int_equal(seen.lookups, 1);
	assert_int_equal(seen.migrations, 0);
	answer(x, page);
	assert_int_equal(free_on(x->w, 1), free);
}

/* E8, E13: the charge moves along, before the old page's last reference goes; if the page stays, so
 * does the charge. (To move a charge needs no memory here, so it cannot fail.) */
static void
e13_charge_moves_first(void **state)
{
	struct world *x = *state;
	struct gw_memcg *memcg;
	gw_pfn_t page;

	assert_int_equal(gw_memcg_create(x->w->m, UINT64_MAX, &memcg), 0);
	assert_int_equal(gw_memcg_charge(memcg, x->page), 0);
	seen.migrate_says = -EAGAIN;
	seen.old = x->page;
	seen.old_was_charged = true;
	page = ask(x);
	assert_int_equal(page, x->page);
	assert_ptr_equal(gw_page_memcg(x->w->m, page), memcg);
	answer(x, page);
	seen.migrate_says = 0;
	page = ask(x);
	assert_int_not_equal(page, x->page);
	assert_false(seen.old_was_charged);
	assert_ptr_equal(gw_page_memcg(x->w->m, page), memcg);
	assert_null(gw_page_memcg(x->w->m, x->page));
	assert_int_equal(gw_memcg_usage(memcg), 1);
	answer(x, page);
	gw_memcg_put(memcg);
}

/* E9: mode FAULT accounts for the fault's reference, and for no other: a page that somebody else
 * holds stays. */
static void
e9_one_more_reference_and_no_other(void **state)
{
	struct world *x = *state;

	gw_get_page(x->w->m, x->page);
	assert_int_equal(fault_in(x, x->mm, x->addr), x->page);
	assert_int_equal(seen.migrations, 1);
	assert_int_equal(seen.mode, GW_MIGRATE_FAULT);
	assert_int_equal(refs(x, x->page), 3);
	gw_put_page(x->w->m, x->page);
}

/* E9: the new page has what the old one had: index, mapping, marks, its place on the LRU. */
static void
e9_new_page_is_like_the_old_one(void **state)
{
	const uint32_t marks = GW_PG_LRU | GW_PG_FILE | GW_PG_UPTODATE | GW_PG_DIRTY;
	struct world *x = *state;
	gw_pfn_t page;

	gw_page_set_dirty(x->w->m, x->page);
	page = ask(x);
	assert_int_equal(node_of(x->w, page), 1);
	assert_int_equal(gw_frame_index(gw_page(x->w->m, page)), INDEX);
	assert_ptr_equal(gw_page_mapping(x->w->m, page), x->file);
	assert_true(has(x, page, marks));
	assert_false(has(x, page, GW_PG_ACTIVE));
	answer(x, page);
}

static void
moved(struct gw_private *data, struct gw_machine *m, gw_pfn_t dst)
{
	(void)data;
	(void)m;
	(void)dst;
}

static bool
release(struct gw_private *data, struct gw_machine *m, gw_pfn_t page)
{
	(void)data;
	(void)m;
	(void)page;
	return true;
}

/* E10, success: cache and fault, then isolation: 3 at the move, 4 with private data. The new page
 * has the cache's, the fault's, and its private data's; the old one is free. (An LRU list holds no
 * reference here, so there is none for the put-back.) */
static void
e10_references_of_a_move(void **state)
{
	struct gw_private data = {.release = release, .moved = moved};
	struct world *x = *state;
	gw_pfn_t page = ask(x);

	assert_int_equal(seen.refs_at_move, 3);
	assert_int_equal(refs(x, page), 2);
	assert_int_equal(refs(x, x->page), 0);
	answer(x, page);
	assert_int_equal(refs(x, page), 1);
	assert_int_equal(gw_mapping_truncate(x->file, 0), 0);
	assert_int_equal(gw_mapping_truncate(x->file, STORE_PAGES), 0);
	x->page = cache_page(x, x->file);
	gw_page_lock(x->w->m, x->page);
	assert_int_equal(gw_page_set_private(x->w->m, x->page, &data), 0);
	gw_page_unlock(x->w->m, x->page);
	page = ask(x);
	assert_int_equal(seen.refs_at_move, 4);
	assert_int_equal(refs(x, page), 3);
	assert_int_equal(refs(x, x->page), 0);
	assert_true(gw_page_release_private(x->w->m, page));
	answer(x, page);
}

/* E10, failure: the new page is free again, the old one as it came. */
static void
e10_references_of_a_failure(void **state)
{
	struct world *x = *state;
	uint64_t free = free_on(x->w, 1);
	gw_pfn_t page;

	seen.migrate_says = -EAGAIN;
	page = ask(x);
	assert_int_equal(page, x->page);
	assert_int_equal(events(x->w, GW_VM_PGMIGRATE_FAIL), 1);
	assert_int_equal(seen.refs_at_move, 3);
	assert_int_equal(refs(x, page), 2);
	assert_true(has(x, page, GW_PG_LRU));
	assert_false(has(x, page, GW_PG_ISOLATED));
	assert_int_equal(free_on(x->w, 1), free);
	answer(x, page);
}

/* E11: the page to go on with is locked, the new one as well as the old. */
static void
e11_page_is_locked(void **state)
{
	struct world *x = *state;
	gw_pfn_t page;

	seen.migrate_says = -EBUSY;
	page = ask(x);
	assert_int_equal(page, x->page);
	assert_true(has(x, page, GW_PG_LOCKED));
	answer(x, page);
	seen.migrate_says = 0;
	page = ask(x);
	assert_int_not_equal(page, x->page);
	assert_true(has(x, page, GW_PG_LOCKED));
	answer(x, page);
}

/* E12: a VMA of a device, or of a file that never moves, is not migratable; others are. */
static void
e12_vma_is_not_migratable(void **state)
{
	struct world *x = *state;
	gw_vaddr_t device = map_page(x->mm, x->file, GW_MAP_IO), anon = map(x->mm, 1);
	struct gw_mapping *never;
	gw_vaddr_t mapped;

	assert_int_equal(gw_mapping_create(x->w->m, &x->ops, x->store, STORE_PAGES,
				 GW_MAPPING_UNMOVABLE, &never),
		0);
	mapped = map_page(x->mm, never, 0);
	assert_false(gw_vma_migratable(gw_vma_find(x->mm, device)));
	assert_false(gw_vma_migratable(gw_vma_find(x->mm, mapped)));
	assert_true(gw_vma_migratable(gw_vma_find(x->mm, x->addr)));
	assert_true(gw_vma_migratable(gw_vma_find(x->mm, anon)));
	assert_int_equal(fault_in(x, x->mm, device), x->page);
	assert_int_equal(seen.lookups, 0);
	assert_int_equal(gw_munmap(x->mm, mapped, PAGE), 0);
	gw_mapping_put(never);
}

/* E14: where it is not wanted, the page is used as it is. */
static void
e14_off_changes_nothing(void **state)
{
	struct world *x = *state;

	x->w->numa.migrate_on_fault = false;
	set_numa(x->w);
	assert_stays(x, 1);
	assert_int_equal(seen.lookups, 0);
}

/* ---- threads ---- */

#define ROUNDS 4000

struct reader {
	struct world *x;
	unsigned cpu, mistakes;
};

/* Map, read, write one's own word, unmap: who comes when nobody maps the page pulls it over. */
static void *
run_reader(void *arg)
{
	struct reader *r = arg;
	struct world *x = r->x;
	struct gw_task task;
	struct gw_mm *mm;

	if (gw_task_attach(&task, x->w->m, r->cpu) || gw_mm_create(x->w->m, &mm))
		abort();
	for (uint64_t round = 1; round <= ROUNDS; round++) {
		gw_vaddr_t addr = 0;
		uint64_t word = 0;

		r->mistakes += gw_mmap_file(mm, 0, PAGE, READWRITE, GW_MAP_SHARED, x->file, INDEX,
				       &addr) != 0;
		r->mistakes += gw_cpu_load(mm, addr + 8 * (1 + r->cpu), &word) != 0;
		r->mistakes += round > 1 && word != round - 1;
		r->mistakes += gw_cpu_store(mm, addr + 8 * (1 + r->cpu), round) != 0;
		r->mistakes += gw_munmap(mm, addr, PAGE) != 0;
	}
	gw_mm_put(mm);
	gw_task_detach(&task);
	return NULL;
}

/* I5: tasks of two nodes pull one page to and fro, and lose no word that they wrote. */
static void
nothing_is_lost(void **state)
{
	struct world *x = *state;
	struct reader readers[2] = {{.x = x}, {.x = x, .cpu = 1}};
	pthread_t threads[2];

	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_reader, &readers[i]), 0);
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(readers[i].mistakes, 0);
	}
	assert_true(seen.migrations > 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(e1_page_is_pulled_over),
		T(e1_page_of_the_swap_cache),
		T(e2_mapped),
		T(e2_writeback),
		T(e2_not_uptodate),
		T(e2_store_cannot_migrate),
		T(e2_not_misplaced),
		T(e3_policy_is_asked_once),
		T(e4_preconditions_are_fatal),
		T(e5_page_cannot_be_isolated),
		T(e6_node_is_full),
		T(e7_new_page_is_locked),
		T(e13_charge_moves_first),
		T(e9_one_more_reference_and_no_other),
		T(e9_new_page_is_like_the_old_one),
		T(e10_references_of_a_move),
		T(e10_references_of_a_failure),
		T(e11_page_is_locked),
		T(e12_vma_is_not_migratable),
		T(e14_off_changes_nothing),
		T(nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
