/* SPDX-License-Identifier: MIT */
/* anon_fixture.c - see anon_fixture.h. */
#include "test.h"

#include <string.h>

#include "anon_fixture.h"

static struct world *
world_of(struct gw_machine *m)
{
	return fixture_of(m)->user;
}

/* ---- what the linker's --wrap sends here ---- */

int __real_gw_unmap_for_migration(
	struct gw_machine *m, gw_pfn_t page, struct gw_anon_vma *anon_vma);
int __wrap_gw_unmap_for_migration(
	struct gw_machine *m, gw_pfn_t page, struct gw_anon_vma *anon_vma);
unsigned __real_gw_remove_migration_entries(
	struct gw_machine *m, gw_pfn_t old, gw_pfn_t winner, struct gw_anon_vma *anon_vma);
unsigned __wrap_gw_remove_migration_entries(
	struct gw_machine *m, gw_pfn_t old, gw_pfn_t winner, struct gw_anon_vma *anon_vma);
void __real_gw_anon_vma_put(struct gw_anon_vma *anon_vma);
void __wrap_gw_anon_vma_put(struct gw_anon_vma *anon_vma);
void __real_gw_page_unlock(struct gw_machine *m, gw_pfn_t pfn);
void __wrap_gw_page_unlock(struct gw_machine *m, gw_pfn_t pfn);

static void
trace(struct world *w, char what)
{
	if (w->remaps && w->n_trace < sizeof(w->trace) - 1)
		w->trace[w->n_trace++] = what;
}

int
__wrap_gw_unmap_for_migration(struct gw_machine *m, gw_pfn_t page, struct gw_anon_vma *anon_vma)
{
	int n = __real_gw_unmap_for_migration(m, page, anon_vma);

	if (n > 0) {
		world_of(m)->unmaps++;
		world_of(m)->entries_made += (unsigned)n;
	}
	return n;
}

unsigned
__wrap_gw_remove_migration_entries(
	struct gw_machine *m, gw_pfn_t old, gw_pfn_t winner, struct gw_anon_vma *anon_vma)
{
	struct world *w = world_of(m);
	unsigned n = __real_gw_remove_migration_entries(m, old, winner, anon_vma);

	w->remaps++;
	w->entries_removed += n;
	w->winner = winner;
	return n;
}

void
__wrap_gw_anon_vma_put(struct gw_anon_vma *anon_vma)
{
	trace(world_of(anon_vma->machine), 'P');
	__real_gw_anon_vma_put(anon_vma);
}

void
__wrap_gw_page_unlock(struct gw_machine *m, gw_pfn_t pfn)
{
	struct world *w = world_of(m);

	if (pfn == w->page) {
		trace(w, 'O');
		w->mark_kept = gw_owner_is_anon(gw_ptr_load_relaxed(&gw_page(m, pfn)->owner));
	} else if (pfn == w->last_new) {
		trace(w, 'N');
	}
	__real_gw_page_unlock(m, pfn);
}

/* ---- hooks ---- */

static void
run_hook(struct world *w, void (*hook)(struct world *w))
{
	struct gw_task task;

	if (!hook)
		return;
	assert_int_equal(gw_task_attach(&task, w->m, 0), 0);
	hook(w);
	gw_task_detach(&task);
}

static void
flush_hook(void *ctx, const gw_pfn_t *frames, size_t n)
{
	struct fixture *f = ctx;
	struct world *w = f->user;

	(void)frames;
	gw_u64_add_relaxed(&f->flushes, 1);
	gw_u64_add_relaxed(&f->flushed_frames, n);
	run_hook(w, w->at_flush);
}

/* Only the copies of a migration: a fault's hold a lock that the hook may want. */
static void
copy_hook(void *ctx, const struct gw_copy *copies, size_t n)
{
	struct fixture *f = ctx;
	struct world *w = f->user;

	for (size_t i = 0; i < n; i++)
		memcpy(f->bytes[copies[i].dst], f->bytes[copies[i].src],
			(size_t)copies[i].n * FIXTURE_FRAME_BYTES);
	if (copies->dst == w->last_new)
		run_hook(w, w->at_copy);
}

static int
get_new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	struct world *w = ctx;
	int err = 0;

	(void)src;
	w->gets++;
	if (w->no_targets)
		return -ENOMEM;
	*dst = w->offer;
	w->offer = GW_PFN_NONE;
	if (*dst == GW_PFN_NONE)
		err = gw_alloc_from_zonelist(m, GW_GFP_MOVABLE, 0, order, GW_WMARK_MIN, dst);
	w->last_new = *dst;
	return err;
}

static void
put_new_page(void *ctx, struct gw_machine *m, gw_pfn_t dst, unsigned order)
{
	struct world *w = ctx;
	const struct gw_page *page = gw_page(m, dst);

	w->puts++;
	w->last_put = dst;
	w->clean_at_put = !gw_ptr_load_relaxed(&page->owner) && gw_frame_index(page) == 0 &&
			  gw_page_flags(page) == gw_flags_make(GW_PAGE_USED, order) &&
			  gw_u32_load_relaxed(&page->mapcount) == 0;
	gw_put_page(m, dst);
}

/* ---- the world ---- */

int
world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->f = fixture_create(FRAMES, 1, 4);
	w->f->user = w;
	w->m = w->f->m;
	w->ops = *w->m->ops;
	w->ops.flush_frames = flush_hook;
	w->ops.copy_frames = copy_hook;
	w->m->ops = &w->ops;
	gw_page_list_init(&w->list);
	w->target = (struct gw_migrate_target){
		.get_new_page = get_new_page, .put_new_page = put_new_page, .ctx = w};
	w->offer = w->page = w->last_new = GW_PFN_NONE;
	assert_int_equal(gw_mm_create(w->m, &w->mm), 0);
	w->frames_before = fixture_free_frames(w->f) + 1; /* its top table */
	*state = w;
	return 0;
}

int
world_teardown(void **state)
{
	struct world *w = *state;

	w->at_flush = w->at_copy = NULL;
	gw_putback_movable_pages(w->m, &w->list);
	if (w->mm)
		gw_mm_put(w->mm);
	if (w->other)
		gw_mm_put(w->other);
	gw_lru_add_drain_all(w->m);
	assert_int_equal(fixture_free_frames(w->f), w->frames_before);
	fixture_destroy(w->f);
	free(w);
	return 0;
}

gw_vaddr_t
map(struct world *w, unsigned n_pages)
{
	gw_vaddr_t addr;

	assert_int_equal(
		gw_mmap(w->mm, 0, n_pages * GW_PAGE_SIZE, GW_PROT_READ | GW_PROT_WRITE, 0, &addr),
		0);
	return addr;
}

static uint64_t *
word_at(struct world *w, struct gw_mm *mm, gw_vaddr_t addr, enum gw_access access)
{
	bool writable;
	gw_pfn_t pfn;

	while (gw_mm_walk(mm, addr, access, &pfn, &writable))
		assert_int_equal(gw_fault(mm, addr, access), 0);
	return (uint64_t *)(void *)&w->f->bytes[pfn][addr & (GW_PAGE_SIZE - 1)];
}

void
write_word(struct world *w, struct gw_mm *mm, gw_vaddr_t addr, uint64_t value)
{
	*word_at(w, mm, addr, GW_ACCESS_WRITE) = value;
}

uint64_t
read_word(struct world *w, struct gw_mm *mm, gw_vaddr_t addr)
{
	return *word_at(w, mm, addr, GW_ACCESS_READ);
}

gw_pte_t
entry_at(struct gw_mm *mm, gw_vaddr_t addr)
{
	gw_spinlock *lock;
	gw_atomic_u64 *word = gw_pte_lock(mm, addr, &lock);
	gw_pte_t pte = 0;

	if (word) {
		pte = gw_u64_load_relaxed(word);
		gw_spin_unlock(lock);
	}
	return pte;
}

void
set_entry(struct gw_mm *mm, gw_vaddr_t addr, gw_pte_t pte)
{
	gw_spinlock *lock;
	gw_atomic_u64 *word = gw_pte_lock(mm, addr, &lock);

	assert_non_null(word);
	gw_u64_store_relaxed(word, pte);
	gw_spin_unlock(lock);
}

gw_pfn_t
page_at(struct gw_mm *mm, gw_vaddr_t addr)
{
	gw_pte_t pte = entry_at(mm, addr);

	assert_int_equal(gw_pte_kind(pte), GW_PTE_IS_PRESENT);
	assert_false(pte & GW_PTE_ZERO);
	return gw_pte_pfn(pte);
}

gw_pfn_t
new_page(struct world *w, uint64_t value)
{
	if (!w->addr)
		w->addr = map(w, 8) + 4 * GW_PAGE_SIZE;
	write_word(w, w->mm, w->addr, value);
	gw_lru_add_drain(w->m);
	w->page = page_at(w->mm, w->addr);
	return w->page;
}

void
isolate(struct world *w, gw_pfn_t page)
{
	assert_int_equal(gw_isolate_page(w->m, page, GW_MIGRATE_SYNC, &w->list), 0);
}

int
migrate(struct world *w, enum gw_migrate_mode mode)
{
	return gw_migrate_pages(w->m, &w->list, &w->target, mode, GW_MR_COMPACTION, &w->stats);
}

gw_pfn_t
move(struct world *w)
{
	isolate(w, w->page);
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 0);
	assert_int_equal(w->stats.succeeded, 1);
	assert_true(is_free(w, w->page));
	return w->last_new;
}

uint32_t
refs(const struct world *w, gw_pfn_t page)
{
	return gw_ref_read(&gw_page(w->m, page)->refcount);
}

uint32_t
maps(const struct world *w, gw_pfn_t page)
{
	return gw_u32_load_relaxed(&gw_page(w->m, page)->mapcount);
}

bool
is_free(const struct world *w, gw_pfn_t page)
{
	return gw_flags_type(gw_page_flags(gw_page(w->m, page))) != GW_PAGE_USED;
}

void
assert_entry(struct gw_mm *mm, gw_vaddr_t addr, gw_pfn_t page, uint64_t flags)
{
	assert_int_equal(entry_at(mm, addr), gw_pte_present(page, flags));
}

static void *
fault_again_and_again(void *arg)
{
	struct faulters *f = arg;
	struct gw_task task;

	if (gw_task_attach(&task, f->w->m, 0))
		abort();
	while (!gw_u32_load_acquire(&f->stop)) {
		if (gw_fault(f->w->mm, f->w->addr, GW_ACCESS_READ))
			gw_u32_add_relaxed(&f->errors, 1);
		gw_u32_add_relaxed(&f->faults, 1);
		sched_yield();
	}
	gw_task_detach(&task);
	return NULL;
}

void
start_faulters(struct faulters *f, struct world *w, unsigned n)
{
	f->w = w;
	f->n = n;
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(pthread_create(&f->threads[i], NULL, fault_again_and_again, f), 0);
}

void
stop_faulters(struct faulters *f)
{
	gw_u32_store_release(&f->stop, 1);
	for (unsigned i = 0; i < f->n; i++)
		assert_int_equal(pthread_join(f->threads[i], NULL), 0);
	assert_true(gw_u32_load_relaxed(&f->faults) > 0);
	assert_int_equal(gw_u32_load_relaxed(&f->errors), 0);
}
