/* SPDX-License-Identifier: MIT */
/*
 * test_huge_map.c - large pages in page tables: faults, huge entries and their splits, counts
 * (FACTS 1.2 rows B9, B17, B18; 1.6 PMD migration entries; 2.4).
 */
#include <errno.h>
#include <stdlib.h>

#include "godwit/memcg.h"
#include "bug_counter.h"
#include "huge_fixture.h"
#include "test.h"

/* FACTS 2.4: a first write to advised, aligned memory is answered by one huge page, mapped by one
 * entry, cleared. */
static void
fault_makes_a_huge_page(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_pfn_t page;

	map_huge(mm, 1);
	poke(mm, HUGE_AT + 17 * PAGE, 5);
	assert_true(is_huge(mm, HUGE_AT));
	page = page_of(mm, HUGE_AT);
	assert_int_equal(page % FRAMES_PER_HUGE, 0);
	assert_int_equal(order_of(s, page), GW_HUGE_ORDER);
	assert_int_equal(peek(mm, HUGE_AT), 0);
	assert_int_equal(peek(mm, HUGE_AT + 17 * PAGE), 5);
	assert_int_equal(gw_mm_pages(mm), FRAMES_PER_HUGE);
	assert_int_equal(count_of(s, GW_VM_THP_FAULT_ALLOC), 1);
	assert_int_equal(count_of(s, GW_VM_THP_FAULT_FALLBACK), 0);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* FACTS 2.4: where a huge page does not fit, was not asked for, or is not to be had, single frames
 * serve. */
static void
fault_falls_back(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_pfn_t taken[4096], page;
	unsigned n = 0;

	map_at(mm, HUGE_AT, 2 * FRAMES_PER_HUGE); /* not advised */
	poke(mm, HUGE_AT, 1);
	assert_false(is_huge(mm, HUGE_AT));
	map_at(mm, 70 * TABLE + PAGE, FRAMES_PER_HUGE); /* across two tables */
	assert_int_equal(gw_madvise(mm, 70 * TABLE + PAGE, TABLE, GW_MADV_HUGEPAGE), 0);
	poke(mm, 70 * TABLE + PAGE, 1);
	assert_false(is_huge(mm, 70 * TABLE + PAGE));
	assert_int_equal(count_of(s, GW_VM_THP_FAULT_FALLBACK), 0);
	while (n < 4096 && !gw_alloc_pages(s->m, 0, 0, GW_HUGE_ORDER, &page))
		taken[n++] = page;
	assert_int_equal(gw_madvise(mm, HUGE_AT, 2 * TABLE, GW_MADV_HUGEPAGE), 0);
	poke(mm, HUGE_AT + TABLE, 1);
	assert_false(is_huge(mm, HUGE_AT + TABLE));
	assert_int_equal(count_of(s, GW_VM_THP_FAULT_FALLBACK), 1);
	while (n)
		gw_put_page(s->m, taken[--n]);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* FACTS 2.4: smaller orders are mapped by an entry for each frame, the largest that fits first. */
static void
fault_tries_orders_downwards(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);

	use_orders(s, 1u << 6 | 1u << 4 | 1u << 2);
	map_huge(mm, 1);
	poke(mm, HUGE_AT + 3 * PAGE, 7);
	assert_int_equal(order_of(s, page_of(mm, HUGE_AT)), 6);
	assert_int_equal(page_of(mm, HUGE_AT + 63 * PAGE), page_of(mm, HUGE_AT) + 63);
	assert_int_equal(gw_mm_pages(mm), 64);
	assert_int_equal(maps_of(s, page_of(mm, HUGE_AT)), 64);
	/* A frame is in the way of 6 and 4. */
	assert_int_equal(peek(mm, HUGE_AT + 64 * PAGE), 0); /* the zero page */
	poke(mm, HUGE_AT + 70 * PAGE, 7);
	assert_int_equal(order_of(s, page_of(mm, HUGE_AT + 70 * PAGE)), 2);
	poke(mm, HUGE_AT + 65 * PAGE, 7);
	assert_int_equal(order_of(s, page_of(mm, HUGE_AT + 65 * PAGE)), 0);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* Unmapping a part splits the entry, not the page, which goes with its last frame. */
static void
partial_unmap_splits_the_entry(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_pfn_t page = fill_huge(s, mm, 2, GW_HUGE_ORDER);

	assert_int_equal(gw_munmap(mm, HUGE_AT + 100 * PAGE, 12 * PAGE), 0);
	assert_int_equal(count_of(s, GW_VM_THP_SPLIT_PMD), 1);
	assert_false(is_huge(mm, HUGE_AT));
	assert_true(is_huge(mm, HUGE_AT + TABLE));
	assert_int_equal(order_of(s, page), GW_HUGE_ORDER);
	assert_int_equal(maps_of(s, page), 500);
	assert_int_equal(refs_of(s, page), 500);
	assert_frames(mm, HUGE_AT, 100);
	assert_frames(mm, HUGE_AT + 112 * PAGE, 400);
	assert_int_equal(gw_madvise(mm, HUGE_AT + TABLE + PAGE, PAGE, GW_MADV_DONTNEED), 0);
	assert_int_equal(peek(mm, HUGE_AT + TABLE + PAGE), 0);
	assert_int_equal(count_of(s, GW_VM_THP_SPLIT_PMD), 2);
	verify(s, &mm, 1);
	assert_int_equal(gw_munmap(mm, HUGE_AT, 2 * TABLE), 0);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* A whole huge entry is protected and aged as one; a part of it, frame by frame. */
static void
mprotect_whole_and_part(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	uint64_t value;

	fill_huge(s, mm, 1, GW_HUGE_ORDER);
	assert_int_equal(gw_mprotect(mm, HUGE_AT, TABLE, GW_PROT_READ), 0);
	assert_true(is_huge(mm, HUGE_AT));
	assert_int_equal(try_poke(s, 1, mm, HUGE_AT + PAGE, 1), -EFAULT);
	assert_int_equal(gw_mprotect(mm, HUGE_AT, TABLE, GW_PROT_NONE), 0);
	assert_int_equal(try_peek(s, 1, mm, HUGE_AT + PAGE, &value), -EFAULT);
	assert_int_equal(gw_mprotect(mm, HUGE_AT, TABLE, READWRITE), 0);
	write_frames(mm, HUGE_AT, FRAMES_PER_HUGE); /* nobody else's: written in place */
	assert_true(is_huge(mm, HUGE_AT));
	assert_int_equal(gw_madvise(mm, HUGE_AT, TABLE, GW_MADV_COLD), 0);
	assert_false(entry_of(mm, HUGE_AT) & GW_PTE_YOUNG);
	assert_true(is_huge(mm, HUGE_AT));
	assert_int_equal(gw_mprotect(mm, HUGE_AT + 8 * PAGE, PAGE, GW_PROT_READ), 0);
	assert_false(is_huge(mm, HUGE_AT));
	assert_int_equal(try_poke(s, 1, mm, HUGE_AT + 8 * PAGE, 1), -EFAULT);
	assert_int_equal(try_poke(s, 1, mm, HUGE_AT + 9 * PAGE, HUGE_AT / PAGE + 9), 0);
	assert_frames(mm, HUGE_AT, FRAMES_PER_HUGE);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* Fork shares the huge page by a huge entry; who writes copies one frame, and splits its own entry
 * alone. */
static void
fork_shares_and_copies(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm[2];
	gw_pfn_t page;

	page = share_huge(s, mm, 2, GW_HUGE_ORDER);
	assert_true(is_huge(mm[1], HUGE_AT));
	assert_int_equal(maps_of(s, page), 2);
	verify(s, mm, 2);
	poke(mm[1], HUGE_AT + 3 * PAGE, 99);
	assert_false(is_huge(mm[1], HUGE_AT));
	assert_true(is_huge(mm[0], HUGE_AT));
	assert_int_not_equal(page_of(mm[1], HUGE_AT + 3 * PAGE), page + 3);
	assert_int_equal(page_of(mm[1], HUGE_AT + 4 * PAGE), page + 4);
	assert_int_equal(peek(mm[1], HUGE_AT + 3 * PAGE), 99);
	assert_frames(mm[0], HUGE_AT, FRAMES_PER_HUGE);
	verify(s, mm, 2);
	gw_mm_put(mm[1]);
	poke(mm[0], HUGE_AT, HUGE_AT / PAGE); /* the only one again */
	assert_true(is_huge(mm[0], HUGE_AT));
	assert_int_equal(page_of(mm[0], HUGE_AT), page);
	verify(s, mm, 1);
	gw_mm_put(mm[0]);
}

/* mremap moves a huge entry in one piece by whole tables, and frame by frame otherwise. */
static void
mremap_moves_huge_entries(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t at;
	gw_pfn_t page = fill_huge(s, mm, 1, GW_HUGE_ORDER);

	map_at(mm, HUGE_AT + TABLE, 1); /* in the way */
	assert_int_equal(gw_mremap(mm, HUGE_AT, TABLE, 2 * TABLE, &at), 0);
	assert_int_not_equal(at, HUGE_AT);
	for (unsigned i = 0; i < FRAMES_PER_HUGE; i++)
		assert_int_equal(peek(mm, at + i * PAGE), HUGE_AT / PAGE + i);
	assert_int_equal(page_of(mm, at), page);
	assert_int_equal(is_huge(mm, at), at % TABLE == 0);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* mlock marks a huge page, and munlock of a part takes the mark back. */
static void
mlock_marks_the_page(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_pfn_t page = fill_huge(s, mm, 1, GW_HUGE_ORDER);

	assert_int_equal(gw_mlock(mm, HUGE_AT, TABLE, true), 0);
	assert_true(gw_page_flags(gw_page(s->m, page)) & GW_PG_MLOCKED);
	assert_true(is_huge(mm, HUGE_AT));
	assert_int_equal(gw_mlock(mm, HUGE_AT + PAGE, PAGE, false), 0);
	assert_false(is_huge(mm, HUGE_AT));
	assert_false(gw_page_flags(gw_page(s->m, page)) & GW_PG_MLOCKED);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* B9: the document's vectors: total map count, and references with the caller's pin. */
static void
total_mapcount_vectors(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm[3];
	gw_pfn_t page;

	mm[0] = new_space(s);
	page = fill_huge(s, mm[0], 1, GW_HUGE_ORDER);
	gw_get_page(s->m, page);
	/* Mapped once by a huge entry: each frame's count is 1 by it alone. */
	assert_int_equal(gw_frame_mapcount(s->m, page + 511), 1);
	assert_int_equal(gw_page_total_mapcount(s->m, page), 1);
	assert_int_equal(refs_of(s, page), 2);
	/* Once, and a pin: one reference too many. */
	gw_get_page(s->m, page);
	assert_int_equal(gw_page_total_mapcount(s->m, page), 1);
	assert_int_equal(refs_of(s, page), 3);
	gw_put_page(s->m, page);
	/* By three. */
	mm[1] = fork_space(mm[0]);
	mm[2] = fork_space(mm[0]);
	assert_int_equal(gw_page_total_mapcount(s->m, page), 3);
	assert_int_equal(refs_of(s, page), 4);
	gw_mm_put(mm[2]);
	/* A huge entry in one, an entry for each frame in another. */
	gw_split_pmd(mm[1], HUGE_AT);
	assert_int_equal(gw_frame_mapcount(s->m, page), 2);
	assert_int_equal(gw_page_total_mapcount(s->m, page), 513);
	assert_int_equal(refs_of(s, page), 514);
	gw_mm_put(mm[1]);
	/* An entry for each frame. */
	gw_split_pmd(mm[0], HUGE_AT);
	assert_int_equal(gw_page_total_mapcount(s->m, page), 512);
	assert_int_equal(refs_of(s, page), 513);
	/* Of 100 frames. */
	assert_int_equal(gw_munmap(mm[0], HUGE_AT + 100 * PAGE, 412 * PAGE), 0);
	assert_int_equal(gw_page_total_mapcount(s->m, page), 100);
	assert_int_equal(refs_of(s, page), 101);
	assert_int_equal(maps_of(s, page), 100); /* the same in one word */
	assert_true(gw_page_partially_mapped(s->m, page));
	gw_put_page(s->m, page);
	verify(s, mm, 1);
	gw_mm_put(mm[0]);
}

/* B18: of the two forms the asserted one insists on an address inside. */
static void
addresses_outside_are_bugs(void **state)
{
	struct spaces *s = *state;
	const struct gw_machine_ops *before = s->m->ops;
	struct gw_machine_ops ops = *before;
	struct gw_mm *mm = new_space(s);
	const struct gw_vma *vma;
	uint64_t pgoff;

	map_at(mm, HUGE_AT, 8);
	vma = gw_vma_find(mm, HUGE_AT);
	pgoff = gw_vma_pgoff(vma);
	ops.bug = note_bug;
	s->m->ops = &ops;
	bugs = 0;
	(void)gw_vma_address_raw(vma, pgoff - 1);
	(void)gw_vma_address_raw(vma, pgoff + 8);
	(void)gw_vma_address(vma, pgoff);
	(void)gw_vma_address(vma, pgoff + 7);
	assert_int_equal(bugs, 0);
	(void)gw_vma_address(vma, pgoff - 1);
	assert_int_equal(bugs, GW_CHECKS ? 1 : 0);
	(void)gw_vma_address(vma, pgoff + 8);
	assert_int_equal(bugs, GW_CHECKS ? 2 : 0);
	s->m->ops = before;
	gw_mm_put(mm);
}

/* B17, B18: a tail's page offset is its head's and the distance; a VMA's address for an offset may
 * lie outside of it. */
static void
offsets_and_addresses(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	const struct gw_vma *vma;
	gw_pfn_t page = fill_huge(s, mm, 1, GW_HUGE_ORDER);
	uint64_t pgoff = gw_page_pgoff(s->m, page);

	assert_int_equal(gw_page_pgoff(s->m, page + 17), pgoff + 17);
	vma = gw_vma_find(mm, HUGE_AT);
	assert_int_equal(gw_vma_address(vma, pgoff + 17), HUGE_AT + 17 * PAGE);
	assert_int_equal(gw_munmap(mm, HUGE_AT, 100 * PAGE), 0);
	vma = gw_vma_find(mm, HUGE_AT);
	assert_int_equal(gw_vma_start(vma), HUGE_AT + 100 * PAGE);
	assert_int_equal(gw_vma_address_raw(vma, pgoff), HUGE_AT); /* before it begins */
	assert_int_equal(gw_vma_address_raw(vma, pgoff + 600), HUGE_AT + 600 * PAGE);
	assert_int_equal(gw_vma_address(vma, pgoff + 100), HUGE_AT + 100 * PAGE);
	gw_mm_put(mm);
}

/* FACTS 1.6: a huge page's entry becomes one migration entry and comes back; a fork in between
 * copies it, a partial unmap splits it, and both find their way back. */
static void
huge_migration_entries(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm[2];
	struct gw_anon_vma *anon_vma;
	struct gw_task other;
	gw_pfn_t page;

	mm[0] = new_space(s);
	page = fill_huge(s, mm[0], 1, GW_HUGE_ORDER);
	anon_vma = freeze_entries(s, page);
	assert_true(gw_pte_is_migration(entry_of(mm[0], HUGE_AT)));
	assert_true(is_huge(mm[0], HUGE_AT));
	assert_int_equal(maps_of(s, page), 0);
	assert_int_equal(gw_task_attach(&other, s->m, 1), 0);
	mm[1] = fork_space(mm[0]);
	assert_int_equal(gw_munmap(mm[1], HUGE_AT + PAGE, PAGE), 0);
	gw_task_detach(&other);
	thaw_entries(s, page, anon_vma);
	assert_true(is_huge(mm[0], HUGE_AT));
	assert_int_equal(maps_of(s, page), 512);
	assert_frames(mm[0], HUGE_AT, FRAMES_PER_HUGE);
	assert_frames(mm[1], HUGE_AT + 2 * PAGE, 510);
	end_spaces(s, mm, 2);
}

/* A group pays for all frames, and for none once they are gone. */
static void
groups_pay_by_frame(void **state)
{
	struct spaces *s = *state;
	struct gw_memcg *memcg;
	struct gw_mm *mm = new_space(s);

	assert_int_equal(gw_memcg_create(s->m, 600, &memcg), 0);
	gw_mm_set_memcg(mm, memcg);
	fill_huge(s, mm, 1, GW_HUGE_ORDER);
	assert_int_equal(gw_memcg_usage(memcg), FRAMES_PER_HUGE);
	verify(s, &mm, 1);
	gw_mm_put(mm);
	assert_int_equal(gw_memcg_usage(memcg), 0);
	gw_memcg_put(memcg);
}

/* A random walk over all that changes entries, in two related address spaces, keeps every byte and
 * every count. */
static void
random_changes(void **state)
{
	struct spaces *s = *state;
	const char *given = getenv("GW_SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : 7;
	struct gw_mm *mm[2];

	print_message("GW_SEED=%u\n", seed);
	mm[0] = new_space(s);
	fill_huge(s, mm[0], 2, GW_HUGE_ORDER);
	for (unsigned round = 0; round < 40; round++) {
		gw_vaddr_t addr, len;

		use_orders(s, round & 1 ? 1u << GW_HUGE_ORDER : 1u << 4 | 1u << 7);
		mm[1] = fork_space(mm[0]);
		for (unsigned i = 0; i < 20; i++) {
			struct gw_mm *m = mm[rand_r(&seed) & 1];

			addr = HUGE_AT + (gw_vaddr_t)(rand_r(&seed) % 1000) * PAGE;
			len = (gw_vaddr_t)(1 + rand_r(&seed) % 24) * PAGE;
			if (rand_r(&seed) % 8 == 0) {
				addr = HUGE_AT;
				len = 2 * TABLE;
			}
			switch (rand_r(&seed) % 5) {
			case 0:
				assert_int_equal(gw_mprotect(m, addr, len, GW_PROT_READ), 0);
				assert_int_equal(gw_mprotect(m, addr, len, READWRITE), 0);
				break;
			case 1:
				assert_int_equal(gw_madvise(m, addr, len, GW_MADV_DONTNEED), 0);
				write_frames(m, addr, (unsigned)(len / PAGE));
				break;
			case 2:
				assert_int_equal(gw_madvise(m, addr, len, GW_MADV_COLD), 0);
				break;
			case 3:
				(void)bounce_entries(s, gw_page_head(s->m, page_of(m, addr)));
				break;
			default:
				write_frames(m, addr, 1);
			}
		}
		assert_frames(mm[0], HUGE_AT, 2 * FRAMES_PER_HUGE);
		assert_frames(mm[1], HUGE_AT, 2 * FRAMES_PER_HUGE);
		verify(s, mm, 2);
		gw_mm_put(mm[round % 3 == 0]);
		if (round % 3)
			mm[0] = mm[1];
	}
	gw_mm_put(mm[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			fault_makes_a_huge_page, huge_setup, spaces_teardown),
		cmocka_unit_test_setup_teardown(fault_falls_back, huge_setup, spaces_teardown),
		cmocka_unit_test_setup_teardown(
			fault_tries_orders_downwards, huge_setup, spaces_teardown),
		cmocka_unit_test_setup_teardown(
			partial_unmap_splits_the_entry, huge_setup, spaces_teardown),
		cmocka_unit_test_setup_teardown(
			mprotect_whole_and_part, huge_setup, spaces_teardown),
		cmocka_unit_test_setup_teardown(
			fork_shares_and_copies, huge_setup, spaces_teardown),
		cmocka_unit_test_setup_teardown(
			mremap_moves_huge_entries, huge_setup, spaces_teardown),
		cmocka_unit_test_setup_teardown(mlock_marks_the_page, huge_setup, spaces_teardown),
		cmocka_unit_test_setup_teardown(
			total_mapcount_vectors, huge_setup, spaces_teardown),
		cmocka_unit_test_setup_teardown(
			addresses_outside_are_bugs, huge_setup, spaces_teardown),
		cmocka_unit_test_setup_teardown(offsets_and_addresses, huge_setup, spaces_teardown),
		cmocka_unit_test_setup_teardown(
			huge_migration_entries, huge_setup, spaces_teardown),
		cmocka_unit_test_setup_teardown(groups_pay_by_frame, huge_setup, spaces_teardown),
		cmocka_unit_test_setup_teardown(random_changes, huge_setup, spaces_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
