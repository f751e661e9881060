/* SPDX-License-Identifier: MIT */
/*
 * test_rows.c - what rows A, C and R say of anonymous memory and no other test shows (FACTS 1.1,
 * 1.3, 1.4): one interleaving each, forced by the fixture's hooks.
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "anon_fixture.h"
#include "bug_counter.h"
#include "walk_probe.h"

/* w->page locked, with migration entries for its entries. */
static struct gw_anon_vma *
freeze(struct world *w)
{
	struct gw_anon_vma *anon_vma;

	gw_get_page(w->m, w->page);
	gw_page_lock(w->m, w->page);
	anon_vma = gw_page_get_anon_vma(w->m, w->page);
	assert_non_null(anon_vma);
	assert_int_equal(gw_unmap_for_migration(w->m, w->page, anon_vma), 1);
	return anon_vma;
}

/* After the entries are back. */
static void
unfreeze(struct world *w, struct gw_anon_vma *anon_vma)
{
	gw_anon_vma_put(anon_vma);
	gw_page_unlock(w->m, w->page);
	gw_put_page(w->m, w->page);
}

/* Long enough for another thread to do what it can do. */
static void
nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

/* ---- A5 ---- */

static void
assert_both_locked(struct world *w)
{
	assert_true(gw_page_flags(gw_page(w->m, w->page)) & GW_PG_LOCKED);
	assert_true(gw_page_flags(gw_page(w->m, w->last_new)) & GW_PG_LOCKED);
}

/* A5: from the unmapping to the end of the copy both pages are locked. */
static void
both_are_locked_in_the_move(void **state)
{
	struct world *w = *state;

	new_page(w, 5);
	w->at_flush = w->at_copy = assert_both_locked;
	move(w);
	assert_false(gw_page_flags(gw_page(w->m, w->last_new)) & GW_PG_LOCKED);
}

/* ---- C2 ---- */

#define TRIES 20

static void
until_somebody_waits(struct world *w)
{
	while (!(gw_page_flags(gw_page(w->m, w->page)) & GW_PG_WAITERS))
		sched_yield();
}

/* As memory offlining does: isolate and migrate until the page has gone. False: it never did. */
static bool
empty_the_frame(struct world *w)
{
	for (unsigned i = 0; i < TRIES; i++) {
		while (gw_isolate_page(w->m, w->page, GW_MIGRATE_SYNC, &w->list))
			sched_yield(); /* a task's reference */
		if (migrate(w, GW_MIGRATE_SYNC) == 0)
			return true;
		gw_putback_movable_pages(w->m, &w->list);
	}
	return false;
}

static bool
empties_beside_faults(struct world *w, enum gw_wait_era era)
{
	struct faulters f = {0};
	bool emptied;

	gw_machine_set_wait_era(w->m, era);
	new_page(w, 5);
	w->at_flush = until_somebody_waits;
	start_faulters(&f, w, FAULTERS);
	emptied = empty_the_frame(w);
	stop_faulters(&f);
	assert_int_equal(read_word(w, w->mm, w->addr), 5);
	return emptied;
}

/* C2: who migrates until it works comes to an end beside tasks that fault on the page all the time,
 * if these give their reference up before they sleep, or take none. */
static void
outer_loop_ends(void **state)
{
	struct world *w = *state;

	assert_true(empties_beside_faults(w, GW_ERA_DROP));
	assert_true(empties_beside_faults(w, GW_ERA_NONE));
}

/* ---- R1 ---- */

/* Memory of anon_vmas, each on a page of its own that nobody can touch once it is given back. */
static const struct gw_machine_ops *real_ops;
static struct gw_machine_ops guarded_ops;

static void *
guarded_alloc(void *ctx, size_t bytes)
{
	void *p;

	if (bytes != sizeof(struct gw_anon_vma))
		return real_ops->alloc(ctx, bytes);
	p = mmap(NULL, GW_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

static void
guarded_release(void *ctx, void *p, size_t bytes)
{
	if (bytes == sizeof(struct gw_anon_vma))
		(void)mprotect(p, GW_PAGE_SIZE, PROT_NONE);
	else
		real_ops->release(ctx, p, bytes);
}

static void
guard_anon_vmas(struct world *w)
{
	real_ops = w->m->ops;
	guarded_ops = *real_ops;
	guarded_ops.alloc = guarded_alloc;
	guarded_ops.release = guarded_release;
	w->m->ops = &guarded_ops;
}

/* R1: the memory of a dead anon_vma, which an unmapped page still names, is not even read. */
static void
dead_anon_vma_is_not_touched(void **state)
{
	struct world *w = *state;

	guard_anon_vmas(w);
	new_page(w, 5);
	gw_get_page(w->m, w->page);
	gw_mm_put(w->mm);
	w->mm = NULL;
	gw_rcu_barrier();
	assert_true(gw_owner_is_anon(gw_ptr_load_relaxed(&gw_page(w->m, w->page)->owner)));
	assert_null(gw_page_get_anon_vma(w->m, w->page));
	gw_put_page(w->m, w->page);
	w->m->ops = real_ops;
}

static void *
unmap_elsewhere(void *arg)
{
	struct world *w = arg;
	struct gw_task task;

	if (gw_task_attach(&task, w->m, 0) ||
		gw_munmap(w->mm, w->addr - 4 * GW_PAGE_SIZE, 8 * GW_PAGE_SIZE))
		abort();
	gw_task_detach(&task);
	return NULL;
}

static void
unmap_in_a_thread(struct world *w)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, unmap_elsewhere, w), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

/* R1: who saw the page mapped just before its last entry went finds an anon_vma that is dying, its
 * memory still there, and does not bring it to life again. */
static void
dying_anon_vma_is_not_taken(void **state)
{
	struct world *w = *state;
	struct gw_page *page;

	new_page(w, 5);
	page = gw_page(w->m, w->page);
	gw_get_page(w->m, w->page);
	gw_rcu_read_lock();
	unmap_in_a_thread(w);
	gw_u32_store_relaxed(&page->mapcount, 1); /* what it saw */
	assert_null(gw_page_get_anon_vma(w->m, w->page));
	gw_u32_store_relaxed(&page->mapcount, 0);
	gw_rcu_read_unlock();
	gw_put_page(w->m, w->page);
}

static struct world *at_unlock; /* what is unmapped at the end of the next RCU section */

void __real_gw_rcu_read_unlock(void);
void __wrap_gw_rcu_read_unlock(void);

void
__wrap_gw_rcu_read_unlock(void)
{
	struct world *w = at_unlock;

	__real_gw_rcu_read_unlock();
	at_unlock = NULL;
	if (w)
		unmap_in_a_thread(w);
}

/* R1, D3: with the reference taken it is looked again whether the page is mapped: if not, the
 * reference is given up. */
static void
last_entry_goes_in_the_lookup(void **state)
{
	struct world *w = *state;

	new_page(w, 5);
	gw_get_page(w->m, w->page);
	at_unlock = w;
	assert_null(gw_page_get_anon_vma(w->m, w->page));
	assert_null(at_unlock);
	gw_put_page(w->m, w->page);
}

/* ---- R8 ---- */

static struct {
	struct world *w;
	unsigned at, seen; /* allocations */
	struct gw_anon_vma *anon_vma;
} forking;

/* The page's way back, in the middle of the fork. */
static void *
return_at_alloc(void *ctx, size_t bytes)
{
	struct world *w = forking.w;
	struct gw_task task;

	if (++forking.seen == forking.at) {
		assert_int_equal(gw_task_attach(&task, w->m, 0), 0);
		gw_remove_migration_entries(w->m, w->page, w->page, forking.anon_vma);
		gw_task_detach(&task);
	}
	return real_ops->alloc(ctx, bytes);
}

/* R8: at whatever allocation of a fork a migration ends, no entry of it is left on either side: the
 * child can be found before anything is copied to it. */
static void
migration_ends_in_a_fork(void **state)
{
	struct world *w = *state;

	forking.w = w;
	new_page(w, 5);
	real_ops = w->m->ops;
	guarded_ops = *real_ops;
	guarded_ops.alloc = return_at_alloc;
	forking.seen = forking.at = 1;
	for (; forking.seen >= forking.at; forking.at++) {
		struct gw_task other; /* the migrator has the page lock */
		struct gw_mm *child;

		forking.anon_vma = freeze(w);
		forking.seen = 0;
		w->m->ops = &guarded_ops;
		assert_int_equal(gw_task_attach(&other, w->m, 0), 0);
		assert_int_equal(gw_mm_fork(w->mm, &child), 0);
		gw_task_detach(&other);
		w->m->ops = real_ops;
		if (forking.seen < forking.at)
			gw_remove_migration_entries(w->m, w->page, w->page, forking.anon_vma);
		unfreeze(w, forking.anon_vma);
		assert_int_equal(page_at(w->mm, w->addr), w->page);
		assert_int_equal(page_at(child, w->addr), w->page);
		assert_int_equal(maps(w, w->page), 2);
		gw_mm_put(child);
	}
	assert_true(forking.at > 4); /* the child, its VMA, links */
}

/* ---- R5 ---- */

/* R5: at each place of a page the walk holds the root's lock: no VMA of the family changes while it
 * computes an address. */
static void
walks_lock_the_family(void **state)
{
	struct world *w = *state;
	struct gw_anon_vma *anon_vma;
	struct walk_probe seen;
	struct gw_mm *child;

	new_page(w, 5);
	assert_int_equal(gw_mm_fork(w->mm, &child), 0);
	anon_vma = gw_page_get_anon_vma(w->m, w->page);
	seen = probe_walk(w->m, w->page, anon_vma, NULL);
	gw_anon_vma_put(anon_vma);
	assert_int_equal(seen.places, 2);
	assert_int_equal(seen.open, 0);
	gw_mm_put(child);
}

/* ---- R4 ---- */

/* R4, I1: an entry of a page that is not under migration is nothing to be tidied up in passing: it
 * is a broken invariant, and said to be one by the fault that meets it. */
static void
dangling_entry_is_a_bug(void **state)
{
	struct world *w = *state;
	gw_pte_t pte;

	new_page(w, 5);
	pte = entry_at(w->mm, w->addr);
	set_entry(w->mm, w->addr, gw_pte_migration(w->page, true, pte));
	w->ops.bug = note_bug;
	bugs = 0;
	(void)!gw_fault(w->mm, w->addr, GW_ACCESS_READ);
	assert_int_equal(bugs, 1);
	set_entry(w->mm, w->addr, pte);
}

/* ---- R7 ---- */

static struct {
	struct world *w;
	void (*flush_range)(void *ctx, uint32_t mm_id, uint64_t start, uint64_t end);
	unsigned tries;
} shifting;

/* In the middle of the shift, mmap_lock held for writing: what a migrator elsewhere would do. */
static void
migrate_in_flush(void *ctx, uint32_t mm_id, uint64_t start, uint64_t end)
{
	struct world *w = shifting.w;
	struct gw_anon_vma *anon_vma;
	struct gw_task task;

	shifting.flush_range(ctx, mm_id, start, end);
	assert_int_equal(gw_task_attach(&task, w->m, 0), 0);
	gw_get_page(w->m, w->page);
	gw_page_lock(w->m, w->page);
	anon_vma = gw_page_get_anon_vma(w->m, w->page);
	assert_int_equal(gw_unmap_for_migration(w->m, w->page, anon_vma), -EAGAIN);
	gw_anon_vma_put(anon_vma);
	gw_page_unlock(w->m, w->page);
	gw_put_page(w->m, w->page);
	gw_task_detach(&task);
	shifting.tries++;
}

/* R7: the stack is temporary until the shift is over: in its midst no entry becomes a migration
 * entry. */
static void
stack_is_temporary_while_it_moves(void **state)
{
	struct world *w = *state;

	assert_int_equal(gw_exec_stack(w->mm, (gw_vaddr_t)1 << 40, 4 * GW_PAGE_SIZE, &w->addr), 0);
	new_page(w, 5);
	shifting.w = w;
	shifting.flush_range = w->ops.flush_range;
	shifting.tries = 0;
	w->ops.flush_range = migrate_in_flush;
	assert_int_equal(gw_exec_shift(w->mm, w->addr, 16 * GW_PAGE_SIZE), 0);
	w->ops.flush_range = shifting.flush_range;
	assert_true(shifting.tries > 0);
	w->addr -= 16 * GW_PAGE_SIZE;
	move(w);
	assert_int_equal(read_word(w, w->mm, w->addr), 5);
}

/* ---- R9 ---- */

#define MAPPED 1025 /* pages, of more than two tables */

/* A mapping that moves in a thread of its own, and a walk beside it. */
static struct {
	struct world *w;
	gw_vaddr_t from, to;
	struct gw_anon_vma *anon_vma;
	gw_atomic_u32 prepared, go_on; /* of the mapping's move */
	bool look, stayed;
	gw_pte_t seen;
	unsigned removed;
	pthread_t thread;
} moving;

gw_atomic_u64 *__real_gw_pte_lock(struct gw_mm *mm, gw_vaddr_t addr, gw_spinlock **lock);
gw_atomic_u64 *__wrap_gw_pte_lock(struct gw_mm *mm, gw_vaddr_t addr, gw_spinlock **lock);
int __real_gw_table_make(struct gw_mm *mm, gw_vaddr_t addr);
int __wrap_gw_table_make(struct gw_mm *mm, gw_vaddr_t addr);

/* Everything is ready, and the first entry has not moved. */
int
__wrap_gw_table_make(struct gw_mm *mm, gw_vaddr_t addr)
{
	int err = __real_gw_table_make(mm, addr);

	if (moving.w && mm == moving.w->mm && !gw_u32_load_relaxed(&moving.prepared)) {
		gw_u32_store_release(&moving.prepared, 1);
		while (!gw_u32_load_acquire(&moving.go_on))
			sched_yield();
	}
	return err;
}

/* The walk has locked the old place: the move goes on now. */
gw_atomic_u64 *
__wrap_gw_pte_lock(struct gw_mm *mm, gw_vaddr_t addr, gw_spinlock **lock)
{
	gw_atomic_u64 *word = __real_gw_pte_lock(mm, addr, lock);

	if (moving.look && addr == moving.from) {
		moving.look = false;
		moving.seen = gw_u64_load_relaxed(word);
		gw_u32_store_release(&moving.go_on, 1);
		nap();
		moving.stayed = gw_u64_load_relaxed(word) == moving.seen;
	}
	return word;
}

static void *
move_mapping(void *arg)
{
	struct world *w = arg;
	struct gw_task task;

	if (gw_task_attach(&task, w->m, 0) ||
		gw_mremap(w->mm, moving.from, GW_PAGE_SIZE, 2 * GW_PAGE_SIZE, &moving.to))
		abort();
	gw_task_detach(&task);
	return NULL;
}

/* A page whose mapping, to grow, has to move to another table. */
static void
page_that_will_move(struct world *w)
{
	w->addr = map(w, MAPPED);
	new_page(w, 5);
	memset(&moving, 0, sizeof(moving));
	moving.from = w->addr;
}

/* R9: who turns a migration entry back has its place locked: a mapping that moves at that moment
 * takes the entry along afterwards. */
static void
entry_stays_while_it_is_looked_at(void **state)
{
	struct world *w = *state;

	page_that_will_move(w);
	moving.anon_vma = freeze(w);
	moving.w = w;
	assert_int_equal(pthread_create(&moving.thread, NULL, move_mapping, w), 0);
	while (!gw_u32_load_acquire(&moving.prepared))
		sched_yield();
	moving.look = true;
	assert_int_equal(gw_remove_migration_entries(w->m, w->page, w->page, moving.anon_vma), 1);
	assert_true(gw_pte_is_migration(moving.seen));
	assert_true(moving.stayed);
	unfreeze(w, moving.anon_vma);
	assert_int_equal(pthread_join(moving.thread, NULL), 0);
	moving.w = NULL;
	assert_int_equal(entry_at(w->mm, moving.from), 0);
	assert_int_equal(page_at(w->mm, moving.to), w->page);
	assert_int_equal(maps(w, w->page), 1);
}

static void *
remove_entries(void *arg)
{
	struct world *w = arg;
	struct gw_task task;

	if (gw_task_attach(&task, w->m, 0))
		abort();
	moving.removed = gw_remove_migration_entries(w->m, w->page, w->page, moving.anon_vma);
	gw_task_detach(&task);
	return NULL;
}

/* While the mapping is at both places: its entry in nobody's hands but ours, as in its move. */
static void
hold_the_entry(void *ctx, uint32_t mm_id, uint64_t start, uint64_t end)
{
	struct world *w = moving.w;
	gw_vaddr_t to = gw_vma_start(gw_vma_find(w->mm, moving.from + MAPPED * GW_PAGE_SIZE));
	gw_spinlock *lock;
	gw_atomic_u64 *word = gw_pte_lock(w->mm, to, &lock);
	gw_pte_t pte = gw_u64_xchg_acq_rel(word, 0);

	(void)ctx, (void)mm_id, (void)start, (void)end;
	assert_int_equal(pthread_create(&moving.thread, NULL, remove_entries, w), 0);
	nap();
	gw_u64_store_release(word, pte);
	gw_spin_unlock(lock);
	assert_int_equal(pthread_join(moving.thread, NULL), 0);
}

/* R9: who looks for migration entries looks under the lock of each place: an entry that is being
 * moved, and is at neither, is waited for. */
static void
moving_entry_is_found(void **state)
{
	struct world *w = *state;
	struct gw_task other; /* the migrator has the page lock */

	page_that_will_move(w);
	moving.anon_vma = freeze(w);
	real_ops = w->m->ops;
	guarded_ops = *real_ops;
	guarded_ops.flush_range = hold_the_entry;
	w->m->ops = &guarded_ops;
	assert_int_equal(gw_task_attach(&other, w->m, 0), 0);
	moving.w = w;
	gw_u32_store_relaxed(&moving.prepared, 1);
	assert_int_equal(
		gw_mremap(w->mm, moving.from, GW_PAGE_SIZE, 2 * GW_PAGE_SIZE, &moving.to), 0);
	moving.w = NULL;
	gw_task_detach(&other);
	w->m->ops = real_ops;
	unfreeze(w, moving.anon_vma);
	assert_int_equal(moving.removed, 1);
	assert_int_equal(page_at(w->mm, moving.to), w->page);
}

/* ---- R10 ---- */

struct waiter {
	struct world *w;
	int first, second; /* of its two faults */
	pthread_t thread;
};

static struct waiter waiter;

static void *
write_fault_twice(void *arg)
{
	struct waiter *me = arg;
	struct gw_task task;

	if (gw_task_attach(&task, me->w->m, 0))
		abort();
	me->first = gw_fault(me->w->mm, me->w->addr, GW_ACCESS_WRITE);
	me->second = gw_fault(me->w->mm, me->w->addr, GW_ACCESS_WRITE);
	gw_task_detach(&task);
	return NULL;
}

static void
replace_while_it_waits(struct world *w)
{
	gw_vaddr_t at;

	waiter = (struct waiter){.w = w};
	assert_int_equal(pthread_create(&waiter.thread, NULL, write_fault_twice, &waiter), 0);
	until_somebody_waits(w);
	assert_int_equal(gw_mmap(w->mm, w->addr, GW_PAGE_SIZE, GW_PROT_READ, GW_MAP_FIXED, &at), 0);
	assert_int_equal(read_word(w, w->mm, w->addr), 0);
}

/* R10: nothing that a fault saw before it waited counts afterwards. Here the mapping is another one
 * by then, of zeros and read-only: the fault that waited changes nothing, the next is refused. */
static void
waiting_fault_begins_again(void **state)
{
	struct world *w = *state;
	gw_pte_t pte;

	new_page(w, 5);
	w->at_flush = replace_while_it_waits;
	isolate(w, w->page);
	assert_int_equal(migrate(w, GW_MIGRATE_SYNC), 0);
	assert_int_equal(pthread_join(waiter.thread, NULL), 0);
	assert_int_equal(waiter.first, 0);
	assert_int_equal(waiter.second, -EFAULT);
	pte = entry_at(w->mm, w->addr);
	assert_true(pte & GW_PTE_ZERO);
	assert_false(pte & GW_PTE_WRITE);
	assert_int_equal(read_word(w, w->mm, w->addr), 0);
	assert_int_equal(w->entries_removed, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(both_are_locked_in_the_move),
		T(outer_loop_ends),
		T(dead_anon_vma_is_not_touched),
		T(dying_anon_vma_is_not_taken),
		T(last_entry_goes_in_the_lookup),
		T(migration_ends_in_a_fork),
		T(walks_lock_the_family),
		T(dangling_entry_is_a_bug),
		T(stack_is_temporary_while_it_moves),
		T(entry_stays_while_it_is_looked_at),
		T(moving_entry_is_found),
		T(waiting_fault_begins_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
