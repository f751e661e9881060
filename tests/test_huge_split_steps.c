/* SPDX-License-Identifier: MIT */
/*
 * test_huge_split_steps.c - inside of a split: what it refuses to begin, and what holds between its
 * steps (rows B2, B4, B7, B8, B10 to B12 and B14 of FACTS 1.2).
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "godwit/memcg.h"
#include "huge_fixture.h"
#include "test.h"

/* In a child process, which split.c must end, saying why. */
static void
assert_fatal(struct spaces *s, gw_pfn_t page, struct gw_page_list *list, const char *why)
{
	char said[512] = "";
	int status = 0, ends[2];
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		(void)!gw_split_huge_to_list(s->m, page, list);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	close(ends[1]);
	assert_true(read(ends[0], said, sizeof(said) - 1) > 0);
	close(ends[0]);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_non_null(strstr(said, why));
}

/* B2: not locked, not compound (the zero page is neither), not anonymous: each is fatal; and so is
 * a list for a page that is on the LRU. */
static void
mistakes_are_fatal(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_pfn_t page = fill_huge(s, mm, 1, GW_HUGE_ORDER), small, nobodys;
	struct gw_page_list list;

	map_at(mm, 80 * TABLE, 1);
	poke(mm, 80 * TABLE, 1);
	small = page_of(mm, 80 * TABLE);
	assert_int_equal(gw_alloc_pages(s->m, 0, 0, 3, &nobodys), 0);
	gw_get_page(s->m, page);
	assert_fatal(s, page, NULL, "split.c");
	assert_fatal(s, page, NULL, "!(flags & GW_PG_LOCKED)");
	gw_put_page(s->m, page);
	lock_with_pin(s, page);
	gw_page_list_init(&list);
	assert_fatal(s, page, &list, "s->list && flags & GW_PG_LRU");
	unlock_with_pin(s, page);
	lock_with_pin(s, small);
	assert_fatal(s, small, NULL, "!(flags & GW_PG_COMPOUND)");
	unlock_with_pin(s, small);
	gw_page_lock(s->m, nobodys);
	assert_fatal(s, nobodys, NULL, "gw_owner_is_anon");
	gw_page_unlock(s->m, nobodys);
	gw_put_page(s->m, nobodys);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* B7: after the freeze no huge entry may be left; B8: more maps than references are somebody's
 * mistake, told with both numbers. */
static void
wrong_counts_are_fatal(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_pfn_t page = fill_huge(s, mm, 1, GW_HUGE_ORDER);
	struct gw_page *head = gw_page(s->m, page);

	lock_with_pin(s, page);
	if (GW_CHECKS) {
		gw_u32_add_relaxed(gw_page_entire_maps(head), 1);
		assert_fatal(s, page, NULL, "gw_page_entire_maps");
		gw_u32_sub_acq_rel(gw_page_entire_maps(head), 1);
		gw_u32_add_relaxed(gw_page_frame_maps(head, 7), 1);
		assert_fatal(s, page, NULL, "has 1 maps and 1 references");
		gw_u32_sub_acq_rel(gw_page_frame_maps(head, 7), 1);
	}
	unlock_with_pin(s, page);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* A machine whose flush runs a hook: a split is between its freeze and its second count then. */
static struct {
	struct gw_machine_ops ops;
	const struct gw_machine_ops *before;
	struct spaces *s;
	gw_pfn_t page;
	uint32_t maps;
	struct gw_anon_vma *anon_vma;
	uint32_t refs; /* the anon_vma's */
	bool locked;
} hooked;

static void
hook(struct spaces *s, gw_pfn_t page, void (*flush)(void *ctx, const gw_pfn_t *frames, size_t n))
{
	hooked.before = s->m->ops;
	hooked.ops = *s->m->ops;
	hooked.ops.flush_frames = flush;
	hooked.s = s;
	hooked.page = page;
	s->m->ops = &hooked.ops;
}

static void *
try_anon_vma_lock(void *arg)
{
	struct gw_task task;

	if (gw_task_attach(&task, hooked.s->m, 1))
		abort();
	hooked.locked = !gw_rw_read_trylock(gw_anon_vma_lock(arg));
	if (!hooked.locked)
		gw_rw_read_unlock(gw_anon_vma_lock(arg));
	gw_task_detach(&task);
	return NULL;
}

static void
look_at_flush(void *ctx, const gw_pfn_t *frames, size_t n)
{
	pthread_t other;

	hooked.refs = gw_ref_read(&hooked.anon_vma->refs);
	assert_int_equal(pthread_create(&other, NULL, try_anon_vma_lock, hooked.anon_vma), 0);
	pthread_join(other, NULL);
	hooked.before->flush_frames(ctx, frames, n);
}

/* B4: meanwhile the split has a reference to the anon_vma, and its lock for writing; not after. */
static void
the_anon_vma_is_held(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_pfn_t page = fill_huge(s, mm, 1, GW_HUGE_ORDER);
	uint32_t refs;

	hooked.anon_vma = gw_ptr_load_relaxed(&gw_vma_find(mm, HUGE_AT)->anon_vma);
	refs = gw_ref_read(&hooked.anon_vma->refs);
	hook(s, page, look_at_flush);
	assert_int_equal(split_at(s, page), 0);
	s->m->ops = hooked.before;
	assert_int_equal(hooked.refs, refs + 1);
	assert_true(hooked.locked);
	assert_int_equal(gw_ref_read(&hooked.anon_vma->refs), refs);
	(void)try_anon_vma_lock(hooked.anon_vma);
	assert_false(hooked.locked);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

static void
pin_at_flush(void *ctx, const gw_pfn_t *frames, size_t n)
{
	hooked.maps = maps_of(hooked.s, hooked.page);
	assert_true(gw_get_page_unless_zero(hooked.s->m, hooked.page));
	hooked.before->flush_frames(ctx, frames, n);
}

/* B8: a pin that comes between the two counts: -EBUSY, and every entry is back. */
static void
a_late_pin_prevents_it(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_pfn_t page = fill_huge(s, mm, 1, GW_HUGE_ORDER);

	hook(s, page, pin_at_flush);
	assert_int_equal(split_at(s, page), -EBUSY);
	s->m->ops = hooked.before;
	assert_int_equal(hooked.maps, 0); /* frozen, then */
	assert_int_equal(order_of(s, page), GW_HUGE_ORDER);
	assert_int_equal(maps_of(s, page), 512);
	assert_int_equal(refs_of(s, page), 513);
	gw_put_page(s->m, page);
	assert_frames(mm, HUGE_AT, FRAMES_PER_HUGE);
	verify(s, &mm, 1);
	assert_int_equal(split_at(s, page), 0);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* What is seen as the pieces of a page find their places. */
static struct {
	bool on, head_is_frozen, descending, locked, charged;
	gw_pfn_t last, pinned;
	uint32_t flags; /* of any */
} seen;

void __real_gw_lru_split_piece(
	struct gw_machine *m, gw_pfn_t head, gw_pfn_t piece, struct gw_page_list *isolated);
void __wrap_gw_lru_split_piece(
	struct gw_machine *m, gw_pfn_t head, gw_pfn_t piece, struct gw_page_list *isolated);

void
__wrap_gw_lru_split_piece(
	struct gw_machine *m, gw_pfn_t head, gw_pfn_t piece, struct gw_page_list *isolated)
{
	if (seen.on) {
		seen.head_is_frozen &= gw_ref_read(&gw_page(m, head)->refcount) == 0;
		seen.descending &= piece < seen.last;
		seen.last = piece;
		seen.locked &= gw_spin_is_held(&m->nodes[gw_page_node(m, head)].lru_lock);
		seen.charged &= gw_ptr_load_relaxed(&gw_page_extra(m, piece)->memcg) ==
				gw_ptr_load_relaxed(&gw_page_extra(m, head)->memcg);
		seen.flags |= gw_page_flags(gw_page(m, piece));
		if (piece == seen.pinned)
			gw_ref_add(&gw_page(m, piece)->refcount, 1);
	}
	__real_gw_lru_split_piece(m, head, piece, isolated);
}

/* B10: from the last tail down, the head last; references are added to what a tail has, never
 * stored. B11: nobody waits for a tail. B12: under the LRU lock, charged before they are found
 * there. */
static void
tails_come_in_order(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	struct gw_memcg *memcg;
	gw_pfn_t page;

	assert_int_equal(gw_memcg_create(s->m, 10000, &memcg), 0);
	gw_mm_set_memcg(mm, memcg);
	page = fill_huge(s, mm, 1, GW_HUGE_ORDER);
	lock_with_pin(s, page);
	gw_u32_or_relaxed(&gw_page(s->m, page)->flags, GW_PG_WAITERS);
	seen.on = seen.head_is_frozen = seen.descending = seen.locked = seen.charged = true;
	seen.last = page + FRAMES_PER_HUGE;
	seen.pinned = page + 7;
	seen.flags = 0;
	assert_int_equal(gw_split_huge(s->m, page), 0);
	seen.on = false;
	unlock_with_pin(s, page);
	assert_true(seen.head_is_frozen);
	assert_true(seen.descending);
	assert_int_equal(seen.last, page + 1);
	assert_true(seen.locked);
	assert_true(seen.charged);
	assert_false(seen.flags & GW_PG_WAITERS);
	assert_int_equal(refs_of(s, page + 7), 2);
	gw_put_page(s->m, page + 7);
	verify(s, &mm, 1);
	gw_mm_put(mm);
	gw_memcg_put(memcg);
}

static unsigned leaf_locks; /* taken for somebody who looks for an entry */

gw_atomic_u64 *__real_gw_pte_lock(struct gw_mm *mm, gw_vaddr_t addr, gw_spinlock **lock);
gw_atomic_u64 *__wrap_gw_pte_lock(struct gw_mm *mm, gw_vaddr_t addr, gw_spinlock **lock);

gw_atomic_u64 *
__wrap_gw_pte_lock(struct gw_mm *mm, gw_vaddr_t addr, gw_spinlock **lock)
{
	leaf_locks++;
	return __real_gw_pte_lock(mm, addr, lock);
}

/* B14: the entries of a table are thawed, as they are frozen, under one hold of its lock. */
static void
tables_are_locked_once(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_pfn_t page = fill_huge(s, mm, 1, GW_HUGE_ORDER);

	gw_split_pmd(mm, HUGE_AT);
	leaf_locks = 0;
	assert_int_equal(split_at(s, page), 0);
	assert_int_equal(leaf_locks, 2);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

#define T(test) cmocka_unit_test_setup_teardown(test, huge_setup, spaces_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(mistakes_are_fatal),
		T(wrong_counts_are_fatal),
		T(the_anon_vma_is_held),
		T(a_late_pin_prevents_it),
		T(tails_come_in_order),
		T(tables_are_locked_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
