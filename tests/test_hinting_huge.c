/* SPDX-License-Identifier: MIT */
/*
 * test_hinting_huge.c - hinting faults of large pages: whole entries, whole moves (FACTS 1.7
 * "Fate", 2.3). A page is CPU 0's until CPU 1 uses it.
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>

#include "godwit/hugetlb.h"
#include "godwit/reclaim.h"
#include "godwit/swap.h"
#include "huge_nodes_fixture.h"

/* ---- one entry for all of it ---- */

/* A scan makes one entry hinting, of 512 frames; every CPU's next use of any of them is a fault,
 * and there is one. numa_pte_updates counts the frames, numa_huge_pte_updates the entry. */
static void
a_huge_hint_is_one_fault(void **state)
{
	struct world *x = *state;
	uint64_t faults;

	(void)fill_huge(x->s, x->mm, 1, GW_HUGE_ORDER);
	assert_int_equal(scan_now(x->w, x->mm), FRAMES_PER_HUGE);
	assert_int_equal(events(x->w, GW_VM_NUMA_PTE_UPDATES), FRAMES_PER_HUGE);
	assert_int_equal(events(x->w, GW_VM_NUMA_HUGE_PTE_UPDATES), 1);
	assert_true(is_huge(x->mm, HUGE_AT));
	assert_true(hints(x->mm, frame(500)));
	assert_int_equal(scan_now(x->w, x->mm), 0); /* it hints already */
	verify(x->s, &x->mm, 1);		    /* no TLB knows it any more */
	faults = events(x->w, GW_VM_PGFAULT);
	use(x, 0, 500);
	use(x, 0, 3);
	use(x, 0, 500);
	assert_int_equal(events(x->w, GW_VM_PGFAULT), faults + 1);
	assert_int_equal(events(x->w, GW_VM_NUMA_HINT_FAULTS), 1);
	assert_int_equal(events(x->w, GW_VM_NUMA_HINT_FAULTS_LOCAL), 1);
	assert_int_equal(gw_u32_load_relaxed(&x->mm->hinting.local), FRAMES_PER_HUGE);
	assert_true(is_huge(x->mm, HUGE_AT));
	assert_whole_on(x, 0, GW_HUGE_ORDER, 0);
	assert_string_equal(gw_vm_event_name(GW_VM_NUMA_HUGE_PTE_UPDATES), "numa_huge_pte_updates");
}

/* The page follows its user as a whole, by whichever frame, for a read or for a write, and is huge
 * there. numa_pages_migrated counts frames. */
static void
huge_page_follows_whole(void **state)
{
	struct world *x = *state;

	(void)fill_huge(x->s, x->mm, 2, GW_HUGE_ORDER);
	assert_int_equal(scan_now(x->w, x->mm), 2 * FRAMES_PER_HUGE);
	use(x, 1, 77);
	assert_int_equal(try_poke(x->s, 1, x->mm, frame(600), frame(600) / PAGE), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(is_huge(x->mm, frame(i * FRAMES_PER_HUGE)));
		assert_whole_on(x, i * FRAMES_PER_HUGE, GW_HUGE_ORDER, 1);
	}
	assert_int_equal(events(x->w, GW_VM_NUMA_HINT_FAULTS), 2);
	assert_int_equal(events(x->w, GW_VM_NUMA_HINT_FAULTS_LOCAL), 0);
	assert_int_equal(events(x->w, GW_VM_NUMA_PAGES_MIGRATED), 2 * FRAMES_PER_HUGE);
	assert_int_equal(events(x->w, GW_VM_THP_MIGRATION_SUCCESS), 2);
	verify(x->s, &x->mm, 1);
}

/* Two stages, of a huge page as of any: one word says who used it last, wherever in it. */
static void
two_stages(void **state)
{
	struct world *x = *state;

	(void)fill_huge(x->s, x->mm, 1, GW_HUGE_ORDER);
	grow_old(x->mm);
	(void)scan_now(x->w, x->mm);
	use(x, 1, 7);
	assert_whole_on(x, 0, GW_HUGE_ORDER, 0);
	(void)scan_now(x->w, x->mm);
	use(x, 1, 300);
	assert_whole_on(x, 0, GW_HUGE_ORDER, 1);
	(void)scan_now(x->w, x->mm);
	use(x, 0, 300);
	assert_whole_on(x, 0, GW_HUGE_ORDER, 1);
}

/* A scan's size is in frames: a huge entry is 512 of them, and is not cut. */
static void
windows_count_frames(void **state)
{
	struct world *x = *state;

	(void)fill_huge(x->s, x->mm, 3, GW_HUGE_ORDER);
	x->w->numa.scan_size_mb = 3; /* one and a half */
	set_numa(x->w);
	assert_int_equal(scan_now(x->w, x->mm), 2 * FRAMES_PER_HUGE);
	assert_false(hints(x->mm, frame(2 * FRAMES_PER_HUGE)));
	assert_int_equal(scan_now(x->w, x->mm), FRAMES_PER_HUGE);
	assert_true(hints(x->mm, frame(2 * FRAMES_PER_HUGE)));
}

/* ---- what stays ---- */

/* Somebody else's reference: it stays whole, in ordinary use. */
static void
pinned_page_stays(void **state)
{
	struct world *x = *state;
	gw_pfn_t page = fill_huge(x->s, x->mm, 1, GW_HUGE_ORDER);

	gw_get_page(x->w->m, page);
	(void)scan_now(x->w, x->mm);
	use(x, 1, 9);
	gw_put_page(x->w->m, page);
	assert_int_equal(page_of(x->mm, HUGE_AT), page);
	assert_whole_on(x, 0, GW_HUGE_ORDER, 0);
	assert_int_equal(events(x->w, GW_VM_NUMA_PAGES_MIGRATED), 0);
}

/* FACTS 2.3: without a block of its size on the node it is not split for that, but stays. */
static void
no_split_for_want_of_a_block(void **state)
{
	struct world *x = *state;
	struct hog h;

	(void)fill_huge(x->s, x->mm, 1, GW_HUGE_ORDER);
	fragment(x, &h, 1);
	assert_true(free_on(x->w, 1) > WMARK_HIGH + FRAMES_PER_HUGE);
	(void)scan_now(x->w, x->mm);
	use(x, 1, 9);
	assert_true(is_huge(x->mm, HUGE_AT));
	assert_whole_on(x, 0, GW_HUGE_ORDER, 0);
	assert_int_equal(events(x->w, GW_VM_THP_SPLIT_PAGE), 0);
	assert_int_equal(events(x->w, GW_VM_THP_MIGRATION_FAIL), 1);
	unhog(x->w, &h);
}

/* Refused: a node that would not be above its high watermark with all of the page. */
static void
full_node_is_left_alone(void **state)
{
	struct world *x = *state;
	struct hog h;

	(void)fill_huge(x->s, x->mm, 1, GW_HUGE_ORDER);
	hog(x->w, &h, 1, WMARK_HIGH + FRAMES_PER_HUGE);
	(void)scan_now(x->w, x->mm);
	use(x, 1, 9);
	assert_whole_on(x, 0, GW_HUGE_ORDER, 0);
	assert_int_equal(events(x->w, GW_VM_THP_MIGRATION_FAIL), 0);
	gw_put_page(x->w->m, h.pages[--h.n]);
	gw_drain_all_pages(x->w->m);
	(void)scan_now(x->w, x->mm);
	use(x, 1, 9);
	assert_whole_on(x, 0, GW_HUGE_ORDER, 1);
	unhog(x->w, &h);
}

/* Pages of several: a scan leaves them out, mapped by huge entries or frame by frame; one that is
 * shared after its scan is refused. */
static void
shared_pages_stay(void **state)
{
	struct world *x = *state;
	struct gw_mm *child;

	(void)fill_huge(x->s, x->mm, 1, GW_HUGE_ORDER);
	child = fork_space(x->mm);
	assert_int_equal(scan_now(x->w, x->mm), 0);
	gw_split_pmd(child, HUGE_AT);
	assert_int_equal(scan_now(x->w, x->mm), 0);
	gw_split_pmd(x->mm, HUGE_AT);
	assert_int_equal(scan_now(x->w, x->mm), 0);
	gw_mm_put(child);
	assert_int_equal(scan_now(x->w, x->mm), FRAMES_PER_HUGE);
	child = fork_space(x->mm);
	use(x, 1, 9);
	assert_int_equal(node_at(x->w, x->mm, HUGE_AT), 0);
	assert_int_equal(events(x->w, GW_VM_NUMA_HINT_FAULTS), 1);
	gw_mm_put(child);
	(void)scan_now(x->w, x->mm);
	use(x, 1, 9);
	assert_whole_on(x, 0, GW_HUGE_ORDER, 1);
}

/* Interleaved pages take turns by their size, when they are new and when mbind() moves them; and a
 * fault on whichever frame leaves them where that wants them. */
static void
interleaved_pages_take_turns(void **state)
{
	struct world *x = *state;
	struct gw_policy turns = policy(GW_POLICY_INTERLEAVE, 3);

	use_orders(x->s, 1u << GW_HUGE_ORDER);
	map_huge(x->mm, 4);
	bind_range(x->mm, HUGE_AT, 2 * FRAMES_PER_HUGE, turns);
	write_frames(x->mm, HUGE_AT, 4 * FRAMES_PER_HUGE);
	assert_int_equal(node_at(x->w, x->mm, HUGE_AT), 0);
	assert_int_equal(node_at(x->w, x->mm, frame(FRAMES_PER_HUGE)), 1);
	assert_int_equal(node_at(x->w, x->mm, frame(3 * FRAMES_PER_HUGE)), 0);
	gw_lru_add_drain_all(x->w->m);
	turns.nodes = 6;
	assert_int_equal(gw_mbind(x->mm, HUGE_AT, TABLE, &turns, GW_MBIND_MOVE), 0);
	assert_whole_on(x, 0, GW_HUGE_ORDER, 1);
	assert_int_equal(gw_mbind(x->mm, HUGE_AT + 3 * TABLE, TABLE, &turns, GW_MBIND_MOVE), 0);
	assert_whole_on(x, 3 * FRAMES_PER_HUGE, GW_HUGE_ORDER, 2);
	bind_range(x->mm, HUGE_AT, 2 * FRAMES_PER_HUGE, policy(GW_POLICY_DEFAULT, 0));
	(void)scan_now(x->w, x->mm);
	turns.nodes = 3;
	assert_int_equal(gw_task_set_policy(&x->s->task, &turns), 0);
	assert_int_equal(peek(x->mm, frame(1)), frame(1) / PAGE);
	assert_int_equal(peek(x->mm, frame(FRAMES_PER_HUGE)), frame(FRAMES_PER_HUGE) / PAGE);
	assert_whole_on(x, 0, GW_HUGE_ORDER, 0);
	assert_whole_on(x, FRAMES_PER_HUGE, GW_HUGE_ORDER, 1);
}

/* So do pages of the pools. */
static void
interleaved_pool_pages_take_turns(void **state)
{
	struct world *x = *state;
	gw_vaddr_t addr = 0;
	uint64_t got;

	for (unsigned node = 0; node < 2; node++)
		assert_int_equal(gw_hugetlb_resize(x->w->m, node, GW_HUGE_ORDER, 2, &got), 0);
	assert_int_equal(gw_mmap(x->mm, 0, 2 * TABLE, READWRITE, GW_MAP_HUGETLB, &addr), 0);
	bind_range(x->mm, addr, 2 * FRAMES_PER_HUGE, policy(GW_POLICY_INTERLEAVE, 3));
	for (unsigned i = 0; i < 2; i++) {
		poke(x->mm, addr + i * TABLE, i);
		assert_int_equal(node_at(x->w, x->mm, addr + i * TABLE), i);
	}
	assert_int_equal(gw_munmap(x->mm, addr, 2 * TABLE), 0);
	for (unsigned node = 0; node < 2; node++)
		assert_int_equal(gw_hugetlb_resize(x->w->m, node, GW_HUGE_ORDER, 0, &got), 0);
}

/* ---- mapped frame by frame ---- */

/* Each entry of a page of a lower order hints; the fault on one decides for all of them: the page
 * moves whole, or all are ordinary entries again. The other pages' go on hinting. */
static void
large_page_follows_whole(void **state)
{
	const unsigned order = 4, n = 1u << order;
	struct world *x = *state;

	(void)fill_huge(x->s, x->mm, 1, order);
	assert_int_equal(scan_now(x->w, x->mm), FRAMES_PER_HUGE);
	assert_int_equal(events(x->w, GW_VM_NUMA_HUGE_PTE_UPDATES), 0);
	use(x, 1, n + 5);
	assert_true(hints(x->mm, frame(n - 1)));
	assert_true(hints(x->mm, frame(2 * n)));
	assert_whole_on(x, n, order, 1);
	assert_int_equal(events(x->w, GW_VM_NUMA_HINT_FAULTS), 1);
	assert_int_equal(events(x->w, GW_VM_NUMA_PAGES_MIGRATED), n);
	use(x, 0, 3 * n + 15);
	assert_true(hints(x->mm, frame(3 * n - 1)));
	assert_true(hints(x->mm, frame(4 * n)));
	assert_whole_on(x, 3 * n, order, 0);
	assert_int_equal(events(x->w, GW_VM_NUMA_HINT_FAULTS), 2);
	assert_int_equal(gw_u32_load_relaxed(&x->mm->hinting.local), n);
	assert_int_equal(gw_u32_load_relaxed(&x->mm->hinting.remote), n);
}

/* A huge page that is mapped frame by frame, by two tables: a fault ends the hints of its own, a
 * second one those of the other. */
static void
page_across_tables(void **state)
{
	struct world *x = *state;
	gw_vaddr_t at = 0, border = TABLE;
	gw_pfn_t page = fill_huge(x->s, x->mm, 1, GW_HUGE_ORDER);

	map_at(x->mm, HUGE_AT + TABLE, 1); /* in the way of what grows: it moves */
	assert_int_equal(gw_mremap(x->mm, HUGE_AT, TABLE, TABLE + PAGE, &at), 0);
	assert_true(at < border && border < at + TABLE);
	assert_false(is_huge(x->mm, at));
	assert_int_equal(page_of(x->mm, border), page + (border - at) / PAGE);
	assert_int_equal(scan_now(x->w, x->mm), FRAMES_PER_HUGE);
	(void)peek(x->mm, border - PAGE);
	assert_false(hints(x->mm, at));
	assert_true(hints(x->mm, border));
	(void)peek(x->mm, at + TABLE - PAGE);
	assert_false(hints(x->mm, border));
	assert_int_equal(events(x->w, GW_VM_NUMA_HINT_FAULTS), 2);
	verify(x->s, &x->mm, 1);
	(void)scan_now(x->w, x->mm);
	assert_int_equal(gw_munmap(x->mm, at, PAGE), 0);
	(void)peek(x->mm, border - PAGE);
	assert_false(hints(x->mm, at + PAGE));
	assert_int_equal(page_of(x->mm, at + PAGE), page + 1);
}

/* ---- in other hands ---- */

/* An entry that is split hints in every piece of it; a fault then is about the page, still. */
static void
split_entries_hint(void **state)
{
	struct world *x = *state;

	(void)fill_huge(x->s, x->mm, 1, GW_HUGE_ORDER);
	(void)scan_now(x->w, x->mm);
	gw_split_pmd(x->mm, HUGE_AT);
	for (unsigned i = 0; i < FRAMES_PER_HUGE; i++)
		assert_true(hints(x->mm, frame(i)));
	verify(x->s, &x->mm, 1);
	use(x, 1, 9);
	assert_whole_on(x, 0, GW_HUGE_ORDER, 1);
	assert_false(is_huge(x->mm, HUGE_AT));
	assert_int_equal(events(x->w, GW_VM_NUMA_HINT_FAULTS), 1);
}

/* A page that is split, or migrated otherwise, or collapsed from hinting entries, hints no more: it
 * is used soon. A collapse leaves huge entries alone, hinting or not. */
static void
new_entries_do_not_hint(void **state)
{
	struct world *x = *state;
	const int node = 1;
	enum gw_scan_result why;
	gw_vaddr_t addr = HUGE_AT;
	int status;

	(void)fill_huge(x->s, x->mm, 1, GW_HUGE_ORDER);
	(void)scan_now(x->w, x->mm);
	assert_int_equal(gw_collapse(x->mm, HUGE_AT, TABLE, &why), 0);
	assert_true(hints(x->mm, HUGE_AT));
	assert_int_equal(gw_move_pages(x->mm, 1, &addr, &node, &status, 0), 0);
	assert_int_equal(status, 1);
	assert_whole_on(x, 0, GW_HUGE_ORDER, 1);
	(void)scan_now(x->w, x->mm);
	assert_int_equal(split_at(x->s, page_of(x->mm, HUGE_AT)), 0);
	assert_false(hints(x->mm, HUGE_AT));
	(void)scan_now(x->w, x->mm);
	assert_true(hints(x->mm, frame(511)));
	assert_int_equal(gw_collapse(x->mm, HUGE_AT, TABLE, &why), 0);
	assert_true(is_huge(x->mm, HUGE_AT));
	assert_false(hints(x->mm, HUGE_AT));
	assert_frames(x->mm, HUGE_AT, FRAMES_PER_HUGE);
}

/* Protection, whole and in part; moving; cooling; unmapping: the entry hints until it is used, and
 * is what it was but for that. */
static void
changes_keep_the_hint(void **state)
{
	struct world *x = *state;
	gw_vaddr_t to = 0;
	uint64_t value;

	(void)fill_huge(x->s, x->mm, 1, GW_HUGE_ORDER);
	(void)scan_now(x->w, x->mm);
	assert_int_equal(gw_mprotect(x->mm, HUGE_AT, TABLE, GW_PROT_NONE), 0);
	assert_int_equal(try_peek(x->s, 0, x->mm, HUGE_AT, &value), -EFAULT);
	assert_int_equal(gw_mprotect(x->mm, HUGE_AT, TABLE, READWRITE), 0);
	assert_int_equal(gw_madvise(x->mm, HUGE_AT, TABLE, GW_MADV_COLD), 0);
	assert_true(is_huge(x->mm, HUGE_AT) && hints(x->mm, HUGE_AT));
	map_at(x->mm, 16 * PAGE, 512 - 16); /* the next room is a table's */
	map_at(x->mm, HUGE_AT + TABLE, 1);
	assert_int_equal(gw_mremap(x->mm, HUGE_AT, TABLE, TABLE + PAGE, &to), 0);
	assert_int_equal(to, TABLE);
	assert_true(is_huge(x->mm, to) && hints(x->mm, to));
	assert_int_equal(gw_mprotect(x->mm, to, 8 * PAGE, GW_PROT_READ), 0);
	assert_false(is_huge(x->mm, to));
	assert_true(hints(x->mm, to) && hints(x->mm, to + TABLE - PAGE));
	assert_int_equal(try_poke(x->s, 0, x->mm, to, 1), -EFAULT);
	assert_int_equal(peek(x->mm, to + 9 * PAGE), HUGE_AT / PAGE + 9);
	verify(x->s, &x->mm, 1);
	(void)scan_now(x->w, x->mm);
	assert_int_equal(gw_munmap(x->mm, to, TABLE), 0);
	assert_int_equal(gw_mm_pages(x->mm), 0);
}

/* What reclaim takes is split, written and read back like any other; entries of slots do not hint.
 */
static void
hinting_pages_swap(void **state)
{
	struct world *x = *state;
	void *ctx;

	assert_int_equal(gw_soft_ram_backing(FRAMES_PER_HUGE, &ctx), 0);
	assert_int_equal(gw_swap_on(x->w->m, &gw_soft_ram_ops, ctx, FRAMES_PER_HUGE), 0);
	(void)fill_huge(x->s, x->mm, 1, GW_HUGE_ORDER);
	(void)scan_now(x->w, x->mm);
	assert_int_equal(gw_madvise(x->mm, HUGE_AT, TABLE, GW_MADV_PAGEOUT), 0);
	assert_int_equal(events(x->w, GW_VM_PSWPOUT), FRAMES_PER_HUGE);
	assert_int_equal(scan_now(x->w, x->mm), 0);
	assert_frames(x->mm, HUGE_AT, FRAMES_PER_HUGE);
	assert_int_equal(events(x->w, GW_VM_NUMA_HINT_FAULTS), 0);
	verify(x->s, &x->mm, 1);
	assert_int_equal(gw_munmap(x->mm, HUGE_AT, TABLE), 0);
	assert_int_equal(gw_swap_off(x->w->m), 0);
}

/* A fork copies the entry as it is: each side has its own fault, and a write its own copy. */
static void
forks_hint(void **state)
{
	struct world *x = *state;
	struct gw_mm *mm[2];

	(void)fill_huge(x->s, x->mm, 1, GW_HUGE_ORDER);
	(void)scan_now(x->w, x->mm);
	mm[0] = x->mm;
	mm[1] = fork_space(x->mm);
	assert_true(is_huge(mm[1], HUGE_AT) && hints(mm[1], HUGE_AT));
	assert_true(hints(mm[0], HUGE_AT));
	verify(x->s, mm, 2);
	assert_int_equal(try_poke(x->s, 0, mm[1], frame(5), 1), 0);
	assert_int_equal(peek(mm[0], frame(5)), frame(5) / PAGE);
	assert_int_equal(peek(mm[1], frame(6)), frame(6) / PAGE);
	assert_int_equal(events(x->w, GW_VM_NUMA_HINT_FAULTS), 2);
	gw_mm_put(mm[1]);
}

/* ---- threads ---- */

#define STEPS 20000

struct program {
	struct world *x;
	unsigned cpu, mistakes;
	gw_atomic_u32 *done;
};

/* Huge entries were made hinting, and huge pages moved. */
static bool
happened(struct world *x)
{
	return events(x->w, GW_VM_NUMA_HUGE_PTE_UPDATES) > 3 &&
	       events(x->w, GW_VM_THP_MIGRATION_SUCCESS) > 3;
}

/* Each CPU has its own word of every frame, and ticks. */
static void *
run_program(void *arg)
{
	static const unsigned n = 2 * FRAMES_PER_HUGE;
	struct program *p = arg;
	uint64_t value[2 * FRAMES_PER_HUGE] = {0}, found;
	struct gw_mm *mm = p->x->mm;
	struct gw_task task;

	if (gw_task_attach(&task, p->x->w->m, p->cpu))
		abort();
	/* Until others leave an entry huge for long enough. */
	for (unsigned step = 1; step <= STEPS || (step < 100 * STEPS && !happened(p->x)); step++) {
		unsigned i = step * 37 % n;
		gw_vaddr_t word = frame(i) + 8 + 8 * p->cpu;

		p->mistakes += gw_cpu_load(mm, word, &found) || found != value[i];
		value[i] = step;
		p->mistakes += gw_cpu_store(mm, word, step) != 0;
		pass_ms(p->x->w, 1);
		if (step % 16 == 0)
			(void)gw_numa_scan(mm);
	}
	gw_u32_add_relaxed(p->done, 1);
	gw_task_detach(&task);
	return NULL;
}

/* What else happens to the pages meanwhile. */
static void
disturb(struct world *x, unsigned turn)
{
	gw_vaddr_t half = HUGE_AT + (turn & 1) * TABLE;
	int err;

	switch (turn / 2 % 4) {
	case 0:
		gw_split_pmd(x->mm, half);
		break;
	case 1:
		gw_mm_put(fork_space(x->mm));
		break;
	case 2:
		assert_int_equal(gw_madvise(x->mm, half, TABLE, GW_MADV_COLD), 0);
		(void)gw_reclaim(x->w->m, turn / 8 % 2, NULL, 1);
		break;
	default:
		err = gw_collapse(x->mm, half, TABLE, NULL);
		assert_true(!err || err == -EAGAIN || err == -ENOMEM || err == -EINVAL);
		break;
	}
}

/* I5, X1, D1: two nodes' tasks use, scan and pull huge pages over, others split, copy, demote and
 * collapse them: no word is lost. */
static void
nothing_is_lost(void **state)
{
	struct world *x = *state;
	gw_atomic_u32 done = {0};
	struct program programs[2] = {{.x = x, .done = &done}, {.x = x, .cpu = 1, .done = &done}};
	pthread_t threads[2];

	x->w->numa.scan_delay_ms = 1;
	x->w->numa.scan_period_min_ms = 2;
	x->w->numa.scan_period_max_ms = 4;
	x->w->numa.balancing = GW_BALANCING_NORMAL | GW_BALANCING_TIERING;
	x->w->numa.demotion = true;
	set_numa(x->w);
	use_orders(x->s, 1u << GW_HUGE_ORDER);
	map_huge(x->mm, 2);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_program, &programs[i]), 0);
	for (unsigned turn = 0; gw_u32_load_relaxed(&done) < 2; turn++)
		disturb(x, turn);
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(programs[i].mistakes, 0);
	}
	assert_true(happened(x));
	verify(x->s, &x->mm, 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, huge_nodes_setup, huge_nodes_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_huge_hint_is_one_fault),
		T(huge_page_follows_whole),
		T(two_stages),
		T(windows_count_frames),
		T(pinned_page_stays),
		T(no_split_for_want_of_a_block),
		T(full_node_is_left_alone),
		T(shared_pages_stay),
		T(interleaved_pages_take_turns),
		T(interleaved_pool_pages_take_turns),
		T(large_page_follows_whole),
		T(page_across_tables),
		T(split_entries_hint),
		T(new_entries_do_not_hint),
		T(changes_keep_the_hint),
		T(hinting_pages_swap),
		T(forks_hint),
		T(nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
