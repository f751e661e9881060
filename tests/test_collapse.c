/* SPDX-License-Identifier: MIT */
/* test_collapse.c - gw_collapse() and khugepaged: FACTS 2.4. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/virt/policy.h"
#include "godwit/swap.h"
#include "huge_fixture.h"
#include "program_fixture.h"
#include "test.h"

#define SLOTS (4 * FRAMES_PER_HUGE)

static int
setup(void **state)
{
	struct spaces *s;
	void *backing = NULL;

	huge_setup(state);
	s = *state;
	use_orders(s, 1u << GW_HUGE_ORDER);
	assert_int_equal(gw_soft_ram_backing(SLOTS, &backing), 0);
	assert_int_equal(gw_swap_on(s->m, &gw_soft_ram_ops, backing, SLOTS), 0);
	return 0;
}

/* n ranges of single pages, each with its number. */
static void
fill_small(struct spaces *s, struct gw_mm *mm, unsigned n)
{
	use_orders(s, 0);
	map_huge(mm, n);
	write_frames(mm, HUGE_AT, n * FRAMES_PER_HUGE);
	gw_lru_add_drain_all(s->m);
	use_orders(s, 1u << GW_HUGE_ORDER);
	assert_false(is_huge(mm, HUGE_AT));
}

/* mm's first range, on demand; by a task of its own, whatever locks the test holds. */
static int
collapse(struct gw_mm *mm, enum gw_scan_result *why)
{
	struct gw_task task;
	int err;

	assert_int_equal(gw_task_attach(&task, mm->machine, 1), 0);
	err = gw_collapse(mm, HUGE_AT, TABLE, why);
	gw_task_detach(&task);
	return err;
}

static void
assert_collapses(struct gw_mm *mm)
{
	enum gw_scan_result why = GW_SCAN_NR;

	if (collapse(mm, &why))
		fail_msg("%s", gw_scan_result_name(why));
	assert_int_equal(why, GW_SCAN_SUCCEED);
	assert_true(is_huge(mm, HUGE_AT));
}

/* It fails, for this reason, and no entry is another one than before. */
static void
assert_stays(struct spaces *s, struct gw_mm *mm, int err, enum gw_scan_result why)
{
	enum gw_scan_result got = GW_SCAN_NR;
	gw_pte_t before[FRAMES_PER_HUGE];
	uint64_t free = free_frames(s), rss = gw_mm_pages(mm);

	for (unsigned i = 0; i < FRAMES_PER_HUGE; i++)
		before[i] = entry_of(mm, HUGE_AT + i * PAGE);
	assert_int_equal(collapse(mm, &got), err);
	assert_string_equal(gw_scan_result_name(got), gw_scan_result_name(why));
	for (unsigned i = 0; i < FRAMES_PER_HUGE; i++)
		assert_int_equal(entry_of(mm, HUGE_AT + i * PAGE), before[i]);
	assert_int_equal(free_frames(s), free);
	assert_int_equal(gw_mm_pages(mm), rss);
}

/* 2.4: MADV_COLLAPSE makes 512 pages one, with all that is in them; the old ones are free. */
static void
pages_become_one(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	uint64_t free;
	gw_pfn_t page;

	fill_small(s, mm, 2);
	free = free_frames(s);
	assert_int_equal(gw_collapse(mm, HUGE_AT, 2 * TABLE, NULL), 0);
	page = page_of(mm, HUGE_AT);
	assert_true(is_huge(mm, HUGE_AT) && is_huge(mm, HUGE_AT + TABLE));
	assert_int_equal(order_of(s, page), GW_HUGE_ORDER);
	assert_int_equal(maps_of(s, page), 1);
	assert_int_equal(gw_page_pgoff(s->m, page), 0);
	assert_frames(mm, HUGE_AT, 2 * FRAMES_PER_HUGE);
	assert_int_equal(free_frames(s), free);
	assert_int_equal(count_of(s, GW_VM_THP_COLLAPSE_ALLOC), 2);
	verify(s, &mm, 1);
	/* Once more: they are there already. */
	assert_int_equal(gw_collapse(mm, HUGE_AT, 2 * TABLE, NULL), 0);
	assert_int_equal(page_of(mm, HUGE_AT), page);
	gw_mm_put(mm);
}

/* 2.4: pages that are not there, the zero page, and pages in swap. */
static void
holes_and_swap(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);

	fill_small(s, mm, 1);
	assert_int_equal(gw_madvise(mm, HUGE_AT, 100 * PAGE, GW_MADV_DONTNEED), 0);
	assert_int_equal(peek(mm, HUGE_AT + 7 * PAGE), 0); /* the zero page */
	assert_int_equal(gw_madvise(mm, HUGE_AT + 300 * PAGE, 150 * PAGE, GW_MADV_PAGEOUT), 0);
	assert_int_equal(gw_pte_kind(entry_of(mm, HUGE_AT + 310 * PAGE)), GW_PTE_IS_SWAP);
	assert_collapses(mm);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(peek(mm, HUGE_AT + i * PAGE), 0);
	assert_frames(mm, HUGE_AT + 100 * PAGE, FRAMES_PER_HUGE - 100);
	assert_int_equal(gw_mm_pages(mm), FRAMES_PER_HUGE);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* 2.4: what others map, too, is copied: each side goes on by itself. */
static void
shared_pages_are_copied(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *both[2] = {new_space(s)};
	gw_pfn_t before;

	fill_small(s, both[0], 1);
	both[1] = fork_space(both[0]);
	before = page_of(both[1], HUGE_AT);
	assert_collapses(both[0]);
	assert_false(is_huge(both[1], HUGE_AT));
	assert_int_equal(page_of(both[1], HUGE_AT), before);
	assert_int_equal(maps_of(s, before), 1);
	poke(both[0], HUGE_AT, 1);
	poke(both[1], HUGE_AT + PAGE, 2);
	assert_int_equal(peek(both[1], HUGE_AT), HUGE_AT / PAGE);
	assert_int_equal(peek(both[0], HUGE_AT + PAGE), HUGE_AT / PAGE + 1);
	end_spaces(s, both, 2);
}

/* 2.4: large pages of smaller orders, and a huge one that is mapped frame by frame. */
static void
large_pages_are_copied(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);

	(void)fill_huge(s, mm, 1, 4);
	assert_collapses(mm);
	gw_split_pmd(mm, HUGE_AT);
	assert_false(is_huge(mm, HUGE_AT));
	assert_collapses(mm);
	assert_frames(mm, HUGE_AT, FRAMES_PER_HUGE);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* Marks and rights: young, dirty and soft-dirty of any page are the huge page's; it may be written
 * exactly if the VMA may. */
static void
marks_and_rights(void **state)
{
	const uint64_t marks = GW_PTE_YOUNG | GW_PTE_DIRTY | GW_PTE_SOFT_DIRTY;
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);

	fill_small(s, mm, 1);
	assert_int_equal(gw_madvise(mm, HUGE_AT, TABLE, GW_MADV_COLD), 0);
	assert_int_equal(gw_mprotect(mm, HUGE_AT, TABLE, GW_PROT_READ), 0);
	assert_collapses(mm);
	assert_int_equal(
		entry_of(mm, HUGE_AT) & (marks | GW_PTE_WRITE), GW_PTE_DIRTY | GW_PTE_SOFT_DIRTY);
	assert_int_equal(try_poke(s, 0, mm, HUGE_AT, 1), -EFAULT);
	assert_int_equal(gw_mprotect(mm, HUGE_AT, TABLE, READWRITE), 0);
	gw_lru_add_drain_all(s->m); /* CPU 1's batch has a reference */
	poke(mm, HUGE_AT, 5);
	assert_int_equal(peek(mm, HUGE_AT), 5);
	assert_true(is_huge(mm, HUGE_AT));
	gw_mm_put(mm);
}

/* A CPU that has a translation of an old page, to read or to write, does not keep it. */
static void
cpus_are_flushed(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	uint64_t value = 0;

	fill_small(s, mm, 1);
	assert_int_equal(try_poke(s, 1, mm, HUGE_AT + 3 * PAGE, 33), 0);
	assert_collapses(mm);
	poke(mm, HUGE_AT + 3 * PAGE, 34);
	assert_int_equal(try_peek(s, 1, mm, HUGE_AT + 3 * PAGE, &value), 0);
	assert_int_equal(value, 34);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* Locked memory stays locked: the huge page is on the unevictable list. */
static void
locked_memory(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);

	fill_small(s, mm, 1);
	assert_int_equal(gw_mlock(mm, HUGE_AT, TABLE, true), 0);
	assert_collapses(mm);
	gw_lru_add_drain_all(s->m);
	assert_true(gw_page_flags(gw_page(s->m, page_of(mm, HUGE_AT))) & GW_PG_MLOCKED);
	assert_int_equal(gw_lru_count(s->m, 0, GW_LRU_UNEVICTABLE), FRAMES_PER_HUGE);
	assert_frames(mm, HUGE_AT, FRAMES_PER_HUGE);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* One page that is pinned, locked, isolated, or being migrated stops it, wherever it is; nothing
 * has changed then, and afterwards it works. */
static void
a_page_in_use_stops_it(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	struct gw_anon_vma *anon_vma;
	struct gw_page_list list;
	gw_pfn_t page;

	fill_small(s, mm, 1);
	page = page_of(mm, HUGE_AT + 511 * PAGE);

	gw_get_page(s->m, page);
	assert_stays(s, mm, -EAGAIN, GW_SCAN_PAGE_COUNT);
	gw_put_page(s->m, page);

	gw_page_lock(s->m, page);
	assert_stays(s, mm, -EAGAIN, GW_SCAN_PAGE_LOCK);
	gw_page_unlock(s->m, page);

	gw_page_list_init(&list);
	assert_int_equal(gw_isolate_page(s->m, page, GW_MIGRATE_SYNC, &list), 0);
	assert_stays(s, mm, -EAGAIN, GW_SCAN_PAGE_LRU);
	gw_putback_movable_pages(s->m, &list);

	anon_vma = freeze_entries(s, page);
	assert_stays(s, mm, -EAGAIN, GW_SCAN_PTE_NON_PRESENT);
	thaw_entries(s, page, anon_vma);

	assert_collapses(mm);
	assert_frames(mm, HUGE_AT, FRAMES_PER_HUGE);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* ---- a migration that ends meanwhile ---- */

struct thaw {
	struct spaces *s;
	gw_pfn_t page;
	struct gw_anon_vma *anon_vma;
	gw_atomic_u32 go;
};

static struct thaw *thawing;

static void
wait_for(struct thaw *t, uint32_t go)
{
	while (gw_u32_load_acquire(&t->go) != go)
		usleep(100);
}

/* L2: a page begins to be migrated after it was looked at. */
int __real_gw_alloc_source(struct gw_machine *m, gw_gfp_t gfp, const struct gw_page_source *source,
	unsigned order, gw_pfn_t *out);
int __wrap_gw_alloc_source(struct gw_machine *m, gw_gfp_t gfp, const struct gw_page_source *source,
	unsigned order, gw_pfn_t *out);

int
__wrap_gw_alloc_source(struct gw_machine *m, gw_gfp_t gfp, const struct gw_page_source *source,
	unsigned order, gw_pfn_t *out)
{
	if (thawing && order == GW_HUGE_ORDER) {
		gw_u32_store_release(&thawing->go, 1);
		wait_for(thawing, 2);
	}
	return __real_gw_alloc_source(m, gfp, source, order, out);
}

/* L5: and its migration ends while the table is out. */
bool __real_gw_table_detach(struct gw_mm *mm, gw_vaddr_t addr, struct gw_detached *d);
bool __wrap_gw_table_detach(struct gw_mm *mm, gw_vaddr_t addr, struct gw_detached *d);

bool
__wrap_gw_table_detach(struct gw_mm *mm, gw_vaddr_t addr, struct gw_detached *d)
{
	bool detached = __real_gw_table_detach(mm, addr, d);

	if (thawing) {
		gw_u32_store_release(&thawing->go, 3);
		usleep(50000); /* all the time that it would take to do it wrong */
	}
	return detached;
}

static void *
end_migration(void *arg)
{
	struct thaw *t = arg;
	struct gw_task task;

	if (gw_task_attach(&task, t->s->m, 1))
		abort();
	wait_for(t, 1);
	t->anon_vma = freeze_entries(t->s, t->page);
	gw_u32_store_release(&t->go, 2);
	wait_for(t, 3);
	thaw_entries(t->s, t->page, t->anon_vma);
	gw_task_detach(&task);
	return NULL;
}

/* L5: who removes migration entries while the table is out waits until he can find them. */
static void
a_migration_ends_meanwhile(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	enum gw_scan_result why;
	struct thaw t = {.s = s};
	pthread_t thread;

	fill_small(s, mm, 1);
	t.page = page_of(mm, HUGE_AT + 9 * PAGE);
	thawing = &t;
	assert_int_equal(pthread_create(&thread, NULL, end_migration, &t), 0);
	assert_int_equal(gw_collapse(mm, HUGE_AT, TABLE, &why), -EAGAIN);
	assert_int_equal(why, GW_SCAN_PTE_NON_PRESENT);
	pthread_join(thread, NULL);
	thawing = NULL;
	assert_int_equal(page_of(mm, HUGE_AT + 9 * PAGE), t.page);
	assert_collapses(mm);
	assert_frames(mm, HUGE_AT, FRAMES_PER_HUGE);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* VMAs that do not hold all of the range, or are not for it. */
static void
some_memory_is_not_for_it(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr;

	map_at(mm, HUGE_AT, FRAMES_PER_HUGE);
	assert_stays(s, mm, -EINVAL, GW_SCAN_PMD_NULL);
	assert_int_equal(gw_munmap(mm, HUGE_AT, TABLE), 0);
	fill_small(s, mm, 1);
	assert_int_equal(gw_madvise(mm, HUGE_AT, TABLE, GW_MADV_NOHUGEPAGE), 0);
	assert_stays(s, mm, -EINVAL, GW_SCAN_VMA_CHECK);
	assert_int_equal(gw_madvise(mm, HUGE_AT, TABLE, GW_MADV_HUGEPAGE), 0);
	assert_int_equal(gw_munmap(mm, HUGE_AT + 511 * PAGE, PAGE), 0);
	assert_stays(s, mm, -EINVAL, GW_SCAN_ADDRESS_RANGE);
	assert_int_equal(gw_munmap(mm, HUGE_AT, TABLE), 0);
	assert_int_equal(gw_exec_stack(mm, HUGE_AT + TABLE, TABLE, &addr), 0); /* R7 */
	poke(mm, HUGE_AT + TABLE - PAGE, 1);
	assert_stays(s, mm, -EINVAL, GW_SCAN_VMA_CHECK);
	assert_int_equal(gw_collapse(mm, HUGE_AT + 1, TABLE, NULL), -EINVAL);
	assert_int_equal(gw_collapse(mm, HUGE_AT + PAGE, TABLE, NULL), 0); /* no range at all */
	gw_mm_put(mm);
}

/* Without a huge page nothing happens, and it is counted. */
static void
no_huge_page(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_pfn_t taken[64];
	unsigned n = 0;

	fill_small(s, mm, 1);
	while (n < 64 && !gw_alloc_pages(s->m, GW_GFP_KERNEL, 0, GW_HUGE_ORDER, &taken[n]))
		n++;
	assert_stays(s, mm, -ENOMEM, GW_SCAN_ALLOC_HUGE_PAGE_FAIL);
	assert_int_equal(count_of(s, GW_VM_THP_COLLAPSE_ALLOC_FAILED), 1);
	while (n > 0)
		gw_put_page(s->m, taken[--n]);
	assert_collapses(mm);
	gw_mm_put(mm);
}

/* ---- khugepaged ---- */

static unsigned
scan(struct spaces *s, struct gw_khugepaged *k, struct gw_mm *mm)
{
	k->next = 0; /* now */
	return gw_khugepaged_scan(k, s->m, &mm, 1);
}

/* 2.4: max_ptes_none 511, swap 64, shared 256; MADV_COLLAPSE ignores them all. */
static void
limits(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s), *child;
	struct gw_khugepaged k;

	gw_khugepaged_init(&k);
	assert_int_equal(k.max_ptes_none, 511);
	assert_int_equal(k.max_ptes_swap, 64);
	assert_int_equal(k.max_ptes_shared, 256);
	use_orders(s, 0);
	map_huge(mm, 1);
	write_frames(mm, HUGE_AT, 1);
	use_orders(s, 1u << GW_HUGE_ORDER);
	k.max_ptes_none = 510;
	assert_int_equal(scan(s, &k, mm), 0);
	assert_int_equal(k.last, GW_SCAN_EXCEED_NONE_PTE);
	k.max_ptes_none = 511;
	assert_int_equal(scan(s, &k, mm), 1);
	assert_int_equal(gw_munmap(mm, HUGE_AT, TABLE), 0);

	fill_small(s, mm, 1);
	assert_int_equal(gw_madvise(mm, HUGE_AT, 65 * PAGE, GW_MADV_PAGEOUT), 0);
	assert_int_equal(scan(s, &k, mm), 0);
	assert_int_equal(k.last, GW_SCAN_EXCEED_SWAP_PTE);
	assert_int_equal(peek(mm, HUGE_AT), HUGE_AT / PAGE);
	assert_int_equal(scan(s, &k, mm), 1);
	assert_frames(mm, HUGE_AT, FRAMES_PER_HUGE);
	assert_int_equal(gw_munmap(mm, HUGE_AT, TABLE), 0);

	fill_small(s, mm, 1);
	child = fork_space(mm);
	write_frames(mm, HUGE_AT, 255);
	gw_lru_add_drain_all(s->m);
	assert_int_equal(scan(s, &k, mm), 0);
	assert_int_equal(k.last, GW_SCAN_EXCEED_SHARED_PTE);
	write_frames(mm, HUGE_AT + 255 * PAGE, 1);
	assert_int_equal(scan(s, &k, mm), 1);
	assert_frames(child, HUGE_AT, FRAMES_PER_HUGE);
	gw_mm_put(child);
	assert_int_equal(gw_munmap(mm, HUGE_AT, TABLE), 0);

	fill_small(s, mm, 1);
	assert_int_equal(gw_madvise(mm, HUGE_AT, TABLE, GW_MADV_COLD), 0);
	assert_int_equal(scan(s, &k, mm), 0);
	assert_int_equal(k.last, GW_SCAN_LACK_REFERENCED_PAGE);
	assert_int_equal(gw_madvise(mm, HUGE_AT, 100 * PAGE, GW_MADV_DONTNEED), 0);
	assert_int_equal(gw_madvise(mm, HUGE_AT + 100 * PAGE, 100 * PAGE, GW_MADV_PAGEOUT), 0);
	child = fork_space(mm);
	assert_collapses(mm);
	gw_mm_put(child);
	gw_mm_put(mm);
}

/* khugepaged goes where the setting lets it; MADV_COLLAPSE goes everywhere else, too. */
static void
settings(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	struct gw_thp_tunables thp;
	struct gw_khugepaged k;

	gw_khugepaged_init(&k);
	gw_thp_tunables_init(&thp);
	use_orders(s, 0);
	map_at(mm, HUGE_AT, FRAMES_PER_HUGE); /* not advised */
	write_frames(mm, HUGE_AT, FRAMES_PER_HUGE);
	thp.enabled = GW_THP_MADVISE;
	assert_int_equal(gw_machine_set_thp(s->m, &thp), 0);
	assert_int_equal(scan(s, &k, mm), 0);
	thp.enabled = GW_THP_NEVER;
	assert_int_equal(gw_machine_set_thp(s->m, &thp), 0);
	assert_int_equal(scan(s, &k, mm), 0);
	assert_collapses(mm);
	gw_split_pmd(mm, HUGE_AT);
	thp.enabled = GW_THP_ALWAYS;
	assert_int_equal(gw_machine_set_thp(s->m, &thp), 0);
	assert_int_equal(scan(s, &k, mm), 1);
	assert_frames(mm, HUGE_AT, FRAMES_PER_HUGE);
	gw_mm_put(mm);
}

/* 2.4: 4096 pages in a step, and goes on there in the next, in 10 s; 60 s after a huge page could
 * not be had. */
static void
steps(void **state)
{
	const uint64_t second = UINT64_C(1000000000);
	struct spaces *s = *state;
	struct gw_mm *both[2] = {new_space(s), new_space(s)};
	struct gw_khugepaged k;
	uint64_t before, value;
	gw_pfn_t taken[64];
	unsigned n = 0;

	gw_khugepaged_init(&k);
	fill_small(s, both[0], 6);
	fill_small(s, both[1], 4);
	assert_int_equal(gw_khugepaged_scan(&k, s->m, both, 2), 8);
	assert_int_equal(k.full_scans, 0);
	before = k.next;
	assert_int_equal(gw_khugepaged_scan(&k, s->m, both, 2), 0); /* not yet */
	assert_int_equal(k.next, before);
	k.next = 0;
	assert_int_equal(gw_khugepaged_scan(&k, s->m, both, 2), 2);
	assert_int_equal(k.full_scans, 1);
	assert_int_equal(k.pages_collapsed, 10);
	before = s->m->ops->clock_ns(s->m->ctx);
	assert_true(k.next <= before + 10 * second && k.next > before + 9 * second);

	gw_split_pmd(both[0], HUGE_AT);
	while (n < 64 && !gw_alloc_pages(s->m, GW_GFP_KERNEL, 0, GW_HUGE_ORDER, &taken[n]))
		n++;
	k.next = 0;
	assert_int_equal(try_peek(s, 1, both[0], HUGE_AT, &value), 0); /* it may be old by now */
	assert_int_equal(gw_khugepaged_scan(&k, s->m, both, 2), 0);
	assert_int_equal(k.last, GW_SCAN_ALLOC_HUGE_PAGE_FAIL);
	before = s->m->ops->clock_ns(s->m->ctx);
	assert_true(k.next <= before + 60 * second && k.next > before + 59 * second);
	while (n > 0)
		gw_put_page(s->m, taken[--n]);
	assert_frames(both[0], HUGE_AT, 6 * FRAMES_PER_HUGE);
	end_spaces(s, both, 2);
}

/* ---- threads ---- */

static int
get_new(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	(void)ctx;
	(void)src;
	return gw_alloc_pages(m, GW_GFP_MOVABLE, 0, order, dst);
}

/* Move whatever small pages there are in a part of memory: migration entries come and go. */
static void
move_some(struct gw_machine *m, gw_pfn_t from)
{
	const struct gw_migrate_target target = {.get_new_page = get_new};
	struct gw_page_list list;

	gw_page_list_init(&list);
	for (gw_pfn_t pfn = from; pfn < from + 1024 && pfn < m->n_frames; pfn++)
		(void)!gw_isolate_page(m, pfn, GW_MIGRATE_SYNC, &list);
	if (list.n && gw_migrate_pages(m, &list, &target, GW_MIGRATE_SYNC, GW_MR_SYSCALL, NULL))
		gw_putback_movable_pages(m, &list);
}

/* Undoes what the collapser does, in all ways there are. */
static void *
undoer(void *arg)
{
	const struct program *p = arg;
	struct gw_machine *m = p->m;
	struct gw_task task;

	if (gw_task_attach(&task, m, 0))
		abort();
	for (unsigned round = 0; !program_is_done(p); round++) {
		struct gw_mm *child = NULL;
		gw_vaddr_t at = HUGE_AT + round * 7 % FRAMES_PER_HUGE * PAGE;

		switch (round % 5) {
		case 0:
			if (!gw_mm_fork(p->mm, &child))
				gw_mm_put(child);
			break;
		case 1:
			gw_split_pmd(p->mm, HUGE_AT);
			break;
		case 2:
			(void)!gw_madvise(p->mm, at, PAGE, GW_MADV_COLD);
			break;
		case 3:
			gw_split_pmd(p->mm, HUGE_AT);
			move_some(m, round / 5 * 1024 % m->n_frames);
			break;
		default:
			gw_split_pmd(p->mm, HUGE_AT);
			(void)!gw_madvise(p->mm, HUGE_AT, 32 * PAGE, GW_MADV_PAGEOUT);
			break;
		}
	}
	gw_task_detach(&task);
	return NULL;
}

/* I5: while a program writes, and others fork, split, move and reclaim, no byte is lost. */
static void
nothing_is_lost(void **state)
{
	struct spaces *s = *state;
	struct program p = {.m = s->m,
		.mm = new_space(s),
		.at = HUGE_AT + 8,
		.pages = FRAMES_PER_HUGE,
		.step = 3,
		.rounds = 60};
	pthread_t thread;
	uint64_t collapsed = 0;

	fill_small(s, p.mm, 1);
	program_start(&p);
	assert_int_equal(pthread_create(&thread, NULL, undoer, &p), 0);
	while (!program_is_done(&p) || collapsed == 0)
		collapsed += !collapse(p.mm, NULL);
	program_end(&p);
	pthread_join(thread, NULL);
	assert_frames(p.mm, HUGE_AT, FRAMES_PER_HUGE);
	verify(s, &p.mm, 1);
	gw_mm_put(p.mm);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, spaces_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pages_become_one),
		TEST(holes_and_swap),
		TEST(shared_pages_are_copied),
		TEST(large_pages_are_copied),
		TEST(marks_and_rights),
		TEST(cpus_are_flushed),
		TEST(locked_memory),
		TEST(a_page_in_use_stops_it),
		TEST(a_migration_ends_meanwhile),
		TEST(some_memory_is_not_for_it),
		TEST(no_huge_page),
		TEST(limits),
		TEST(settings),
		cmocka_unit_test_setup_teardown(steps, huge_setup, spaces_teardown),
		TEST(nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
