/* SPDX-License-Identifier: MIT */
/*
 * test_mm.c - address spaces: mapping, protection, advice, stacks, exec, exit; and all of it at
 * random against a model (mm.h V1 to V3; FACTS R5 to R7).
 */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "machine_fixture.h"
#include "mm_fixture.h"

/* Addresses are found, hinted at, or fixed; what contradicts itself is refused (mm.h). */
static void
test_mmap_finds_room(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t a = map(mm, 4), b = map(mm, 4), out = 0;

	assert_true(b >= a + 4 * PAGE || a >= b + 4 * PAGE);
	assert_int_equal(gw_mmap(mm, a + 0x1000000, PAGE, READWRITE, 0, &out), 0);
	assert_int_equal(out, a + 0x1000000); /* the hint was free */
	assert_int_equal(gw_mmap(mm, a, PAGE, READWRITE, 0, &out), 0);
	assert_int_not_equal(out, a); /* it was not */
	assert_int_equal(gw_mmap(mm, 0, 0, READWRITE, 0, &out), -EINVAL);
	assert_int_equal(gw_mmap(mm, a + 1, PAGE, READWRITE, GW_MAP_FIXED, &out), -EINVAL);
	assert_int_equal(gw_mmap(mm, 0, PAGE, READWRITE, GW_MAP_FIXED, &out), -EINVAL);
	assert_int_equal(
		gw_mmap(mm, GW_VADDR_END - PAGE, 2 * PAGE, READWRITE, GW_MAP_FIXED, &out), -EINVAL);
	assert_int_equal(gw_mmap(mm, 0, GW_VADDR_END, READWRITE, 0, &out), -ENOMEM);
	assert_int_equal(gw_mmap(mm, 0, PAGE, 8, 0, &out), -EINVAL);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* MAP_FIXED replaces what is there, and only that (mm.h). */
static void
test_fixed_replaces(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t a = map(mm, 3);

	for (unsigned i = 0; i < 3; i++)
		poke(mm, a + i * PAGE, i + 1);
	map_at(mm, a + PAGE, 1);
	assert_int_equal(peek(mm, a), 1);
	assert_int_equal(peek(mm, a + PAGE), 0);
	assert_int_equal(peek(mm, a + 2 * PAGE), 3);
	assert_int_equal(gw_mm_pages(mm), 2);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* A hole in the middle: both ends keep their bytes and rmap still finds them (R5). */
static void
test_munmap_splits(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t a = map(mm, 10);
	uint64_t value;

	for (unsigned i = 0; i < 10; i++)
		poke(mm, a + i * PAGE, i + 1);
	assert_int_equal(try_peek(s, 1, mm, a + 4 * PAGE, &value), 0);
	assert_int_equal(gw_munmap(mm, a + 3 * PAGE, 4 * PAGE), 0);
	for (unsigned i = 0; i < 10; i++) {
		bool gone = i >= 3 && i < 7;

		for (unsigned cpu = 0; cpu < 2; cpu++)
			assert_int_equal(
				try_peek(s, cpu, mm, a + i * PAGE, &value), gone ? -EFAULT : 0);
		assert_true(gone || value == i + 1);
	}
	assert_int_equal(mm->n_vmas, 2);
	assert_int_equal(gw_mm_pages(mm), 6);
	verify(s, &mm, 1);
	assert_int_equal(gw_munmap(mm, a, 100 * PAGE), 0); /* holes are fine */
	assert_int_equal(gw_mm_pages(mm), 0);
	gw_mm_put(mm);
}

/* A table goes with the last VMA in its range, not before (virt.h, lifetimes). */
static void
test_tables_are_freed(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	uint64_t empty = free_frames(s);
	gw_vaddr_t a = (gw_vaddr_t)1 << 40;

	map_at(mm, a, 1);
	map_at(mm, a + 5 * PAGE, 1);
	map_at(mm, a + TABLE, 1);
	poke(mm, a, 1);
	poke(mm, a + 5 * PAGE, 1);
	poke(mm, a + TABLE, 1);
	assert_int_equal(empty - free_frames(s), 3 + 4); /* pages, and tables: 1 + 1 + 2 */
	assert_int_equal(gw_munmap(mm, a, PAGE), 0);
	assert_int_equal(empty - free_frames(s), 2 + 4);
	assert_int_equal(gw_munmap(mm, a + TABLE, PAGE), 0);
	assert_int_equal(empty - free_frames(s), 1 + 3);
	assert_int_equal(peek(mm, a + 5 * PAGE), 1);
	assert_int_equal(gw_munmap(mm, a + 5 * PAGE, PAGE), 0);
	assert_int_equal(free_frames(s), empty);
	gw_mm_put(mm);
}

/* A table that was detached is flushed before it is freed, also when no entry is left in it that
 * would be reason enough: a CPU may be walking it (T2). */
static void
test_tables_are_flushed(void **state)
{
	struct fixture *f = fixture_create(64, 1, 4);
	struct gw_mm *mm;
	gw_vaddr_t a = 0;
	uint64_t flushes;

	(void)state;
	assert_int_equal(gw_mm_create(f->m, &mm), 0);
	assert_int_equal(gw_mmap(mm, 0, PAGE, READWRITE, 0, &a), 0);
	assert_int_equal(gw_fault(mm, a, GW_ACCESS_WRITE), 0);
	assert_int_equal(gw_madvise(mm, a, PAGE, GW_MADV_DONTNEED), 0);
	flushes = gw_u64_load_relaxed(&f->flushed_ranges);
	assert_int_equal(gw_munmap(mm, a, PAGE), 0);
	/* the range (Y4 in zap.c), and then what the table spanned */
	assert_int_equal(gw_u64_load_relaxed(&f->flushed_ranges), flushes + 2);
	gw_mm_put(mm);
	gw_rcu_barrier();
	fixture_destroy(f);
}

/* A right that is taken away is gone on every CPU at once, and comes back with the bytes. */
static void
test_mprotect(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t a = map(mm, 4);
	uint64_t value;

	for (unsigned cpu = 0; cpu < 2; cpu++)
		assert_int_equal(try_poke(s, cpu, mm, a + PAGE, 7), 0);
	assert_int_equal(gw_mprotect(mm, a + PAGE, PAGE, GW_PROT_READ), 0);
	for (unsigned cpu = 0; cpu < 2; cpu++) {
		assert_int_equal(try_poke(s, cpu, mm, a + PAGE, 8), -EFAULT);
		assert_int_equal(try_peek(s, cpu, mm, a + PAGE, &value), 0);
		assert_int_equal(value, 7);
	}
	assert_int_equal(gw_mprotect(mm, a, 4 * PAGE, GW_PROT_NONE), 0);
	for (unsigned cpu = 0; cpu < 2; cpu++)
		assert_int_equal(try_peek(s, cpu, mm, a + PAGE, &value), -EFAULT);
	verify(s, &mm, 1);
	assert_int_equal(gw_mprotect(mm, a, 4 * PAGE, READWRITE), 0);
	assert_int_equal(peek(mm, a + PAGE), 7);
	poke(mm, a + PAGE, 9);
	poke(mm, a + 2 * PAGE, 9);
	assert_int_equal(gw_mprotect(mm, a, 5 * PAGE, GW_PROT_READ), -ENOMEM);
	poke(mm, a, 1); /* nothing was changed */
	assert_int_equal(gw_mprotect(mm, a, PAGE, 4), -EINVAL);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* PROT_NONE outlives a migration of the page: the entry keeps its mark (FACTS 2.3). */
static void
test_no_access_survives_migration(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t a = map(mm, 1);
	struct gw_anon_vma *anon_vma;
	struct gw_task other;
	gw_pfn_t page;
	uint64_t value;

	poke(mm, a, 7);
	page = page_of(mm, a);
	assert_int_equal(gw_mprotect(mm, a, PAGE, GW_PROT_NONE), 0);
	anon_vma = freeze_entries(s, page);
	thaw_entries(s, page, anon_vma);
	assert_int_equal(try_peek(s, 0, mm, a, &value), -EFAULT);
	assert_int_equal(gw_mprotect(mm, a, PAGE, READWRITE), 0);
	/* And what is taken away during one is not given back by it. */
	poke(mm, a, 8);
	anon_vma = freeze_entries(s, page);
	assert_int_equal(gw_task_attach(&other, s->m, 1), 0);
	assert_int_equal(gw_mprotect(mm, a, PAGE, GW_PROT_READ), 0);
	gw_task_detach(&other);
	thaw_entries(s, page, anon_vma);
	assert_false(entry_of(mm, a) & GW_PTE_WRITE);
	assert_int_equal(peek(mm, a), 8);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* DONTNEED: zeros on every CPU, frames back, the mapping stays; not of locked memory. */
static void
test_dontneed(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t a = map(mm, 3);
	uint64_t value;

	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(try_poke(s, 1, mm, a + i * PAGE, 5), 0);
	assert_int_equal(gw_madvise(mm, a + PAGE, PAGE, GW_MADV_DONTNEED), 0);
	assert_int_equal(gw_mm_pages(mm), 2);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(try_peek(s, 1, mm, a + i * PAGE, &value), 0);
		assert_int_equal(value, i == 1 ? 0 : 5);
	}
	assert_int_equal(gw_madvise(mm, a, 4 * PAGE, GW_MADV_DONTNEED), -ENOMEM);
	assert_int_equal(gw_mlock(mm, a + PAGE, PAGE, true), 0);
	assert_int_equal(gw_madvise(mm, a, 3 * PAGE, GW_MADV_DONTNEED), -EINVAL);
	assert_int_equal(gw_madvise(mm, a, 3 * PAGE, GW_MADV_COLD), -EINVAL);
	assert_int_equal(gw_madvise(mm, a, 3 * PAGE, GW_MADV_PAGEOUT), -EINVAL);
	assert_int_equal(peek(mm, a), 5);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* COLD: not young, until touched again: the translation is flushed, so the touch is seen. */
static void
test_cold(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t a = map(mm, 1);

	poke(mm, a, 5);
	assert_true(entry_of(mm, a) & GW_PTE_YOUNG);
	assert_int_equal(gw_madvise(mm, a, PAGE, GW_MADV_COLD), 0);
	assert_false(entry_of(mm, a) & GW_PTE_YOUNG);
	assert_int_equal(peek(mm, a), 5);
	assert_true(entry_of(mm, a) & GW_PTE_YOUNG);
	gw_mm_put(mm);
}

/* Hints are kept in the VMAs of their range, also by those that a fork or a move makes of them; the
 * later one counts. */
static void
test_huge_hints(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s), *child;
	gw_vaddr_t a = map(mm, 4), moved;
	const uint32_t both = GW_VM_HUGEPAGE | GW_VM_NOHUGEPAGE;

	assert_int_equal(gw_madvise(mm, a + PAGE, 2 * PAGE, GW_MADV_HUGEPAGE), 0);
	assert_int_equal(gw_madvise(mm, a + 2 * PAGE, PAGE, GW_MADV_NOHUGEPAGE), 0);
	assert_int_equal(gw_vma_find(mm, a)->flags & both, 0);
	assert_int_equal(gw_vma_find(mm, a + PAGE)->flags & both, GW_VM_HUGEPAGE);
	assert_int_equal(gw_vma_find(mm, a + 2 * PAGE)->flags & both, GW_VM_NOHUGEPAGE);
	child = fork_space(mm);
	assert_int_equal(gw_vma_find(child, a + PAGE)->flags & both, GW_VM_HUGEPAGE);
	gw_mm_put(child);
	assert_int_equal(gw_mremap(mm, a + PAGE, PAGE, 2 * PAGE, &moved), 0);
	assert_int_not_equal(moved, a + PAGE);
	assert_int_equal(gw_vma_find(mm, moved)->flags & both, GW_VM_HUGEPAGE);
	assert_int_equal(gw_madvise(mm, a, PAGE, (enum gw_advice)99), -EINVAL);
	gw_mm_put(mm);
}

/* mlock brings in every page of its range; fork does not pass the lock on. */
static void
test_mlock(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s), *child;
	gw_vaddr_t a = map(mm, 6);

	assert_int_equal(gw_mlock(mm, a + PAGE, 4 * PAGE, true), 0);
	assert_int_equal(gw_mm_pages(mm), 4);
	assert_true(gw_vma_find(mm, a + PAGE)->flags & GW_VM_LOCKED);
	child = fork_space(mm);
	assert_false(gw_vma_find(child, a + PAGE)->flags & GW_VM_LOCKED);
	gw_mm_put(child);
	assert_int_equal(gw_mlock(mm, a, 6 * PAGE, false), 0);
	assert_false(gw_vma_find(mm, a + PAGE)->flags & GW_VM_LOCKED);
	assert_int_equal(gw_mlock(mm, a, 7 * PAGE, true), -ENOMEM);
	assert_int_equal(gw_mprotect(mm, a, PAGE, GW_PROT_NONE), 0);
	assert_int_equal(gw_mlock(mm, a, PAGE, true), -ENOMEM);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* A touch below a stack makes it larger, its pages stay found; not into the gap, not for ever (R6).
 */
static void
test_stack_grows(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t top = (gw_vaddr_t)1 << 30, out = 0;
	uint64_t value;

	assert_int_equal(gw_mmap(mm, top - 2 * PAGE, 2 * PAGE, READWRITE,
				 GW_MAP_FIXED | GW_MAP_GROWSDOWN, &out),
		0);
	poke(mm, top - PAGE, 1);
	poke(mm, top - 40 * PAGE, 2);
	assert_int_equal(gw_vma_start(gw_vma_find(mm, 0)), top - 40 * PAGE);
	assert_int_equal(peek(mm, top - PAGE), 1);
	assert_int_equal(mm->n_vmas, 1);
	verify(s, &mm, 1);
	assert_int_equal(try_peek(s, 0, mm, top - (8 << 20) - PAGE, &value), -EFAULT);
	map_at(mm, top - (4 << 20), 1);
	assert_int_equal(try_peek(s, 0, mm, top - (4 << 20) + 2 * PAGE, &value), -EFAULT);
	assert_int_equal(try_peek(s, 0, mm, top, &value), -EFAULT);
	gw_mm_put(mm);
}

/* Until it is shifted, migration leaves exec's stack alone; afterwards not (R7). */
static void
test_exec_stack(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t top = (gw_vaddr_t)1 << 32, a = 0, to;
	const uint64_t shift = 3 * PAGE; /* less than its length: the places overlap */
	struct gw_anon_vma *anon_vma;
	gw_pfn_t page;

	assert_int_equal(gw_exec_stack(mm, top, 8 * PAGE, &a), 0);
	assert_int_equal(a, top - 8 * PAGE);
	assert_int_equal(gw_exec_stack(mm, top, PAGE, &to), -ENOMEM);
	for (unsigned i = 0; i < 8; i++)
		poke(mm, a + i * PAGE, i + 1);
	page = page_of(mm, a + PAGE);
	gw_get_page(s->m, page);
	gw_page_lock(s->m, page);
	anon_vma = gw_page_get_anon_vma(s->m, page);
	assert_int_equal(gw_unmap_for_migration(s->m, page, anon_vma), -EAGAIN);
	gw_anon_vma_put(anon_vma);
	gw_page_unlock(s->m, page);
	gw_put_page(s->m, page);
	assert_int_equal(page_of(mm, a + PAGE), page);

	assert_int_equal(gw_exec_shift(mm, a, 100), -EINVAL);
	map_at(mm, a - 2 * PAGE, 1); /* in the way */
	assert_int_equal(gw_exec_shift(mm, a, shift), -ENOMEM);
	assert_int_equal(page_of(mm, a + PAGE), page);
	assert_int_equal(gw_munmap(mm, a - 2 * PAGE, PAGE), 0);
	assert_int_equal(gw_exec_shift(mm, a, shift), 0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(peek(mm, a - shift + i * PAGE), i + 1);
	assert_int_equal(gw_cpu_load(mm, top - PAGE, &(uint64_t){0}), -EFAULT);
	assert_int_equal(gw_exec_shift(mm, a, shift), -EINVAL); /* no longer temporary */
	anon_vma = freeze_entries(s, page);
	thaw_entries(s, page, anon_vma);
	verify(s, &mm, 1);
	gw_mm_put(mm);
}

/* ---- failing allocations ---- */

/* What an address space says of 16 pages, 0xbad for what cannot be read. */
struct contents {
	uint64_t words[16];
};

static struct contents
contents_of(struct gw_mm *mm, gw_vaddr_t a)
{
	struct contents c;

	for (unsigned i = 0; i < 16; i++)
		if (gw_cpu_load(mm, a + i * PAGE, &c.words[i]))
			c.words[i] = 0xbad;
	return c;
}

static int
change_number(struct gw_mm *mm, gw_vaddr_t a, unsigned which)
{
	struct gw_mm *child = NULL;
	gw_vaddr_t out;
	int err;

	switch (which) {
	case 0:
		return gw_munmap(mm, a + 2 * PAGE, 3 * PAGE);
	case 1:
		return gw_mprotect(mm, a + 2 * PAGE, 3 * PAGE, GW_PROT_NONE);
	case 2:
		return gw_mremap(mm, a + 2 * PAGE, 3 * PAGE, 6 * PAGE, &out);
	case 3:
		return gw_mmap(mm, a + 3 * PAGE, PAGE, READWRITE, GW_MAP_FIXED, &out);
	case 4:
		return gw_cpu_store(mm, a + 30 * PAGE, 1); /* a mapping without an anon_vma */
	case 5:
		return gw_madvise(mm, a + PAGE, PAGE, GW_MADV_HUGEPAGE);
	default:
		err = gw_mm_fork(mm, &child);
		if (!err)
			gw_mm_put(child);
		return err;
	}
}

/* Whichever allocation of the engine's own memory fails, a change says -ENOMEM and nothing that can
 * be seen is other than before; at last it succeeds (virt.h). */
static void
test_failed_allocations(void **state)
{
	struct spaces *s = *state;

	for (unsigned which = 0; which < 7; which++) {
		struct gw_mm *mm = new_space(s);
		const gw_vaddr_t a = TABLE - 4 * PAGE;
		struct contents before, after;
		unsigned failed = 0;
		int err;

		map_at(mm, a, 16);
		map_at(mm, a + 30 * PAGE, 1);
		for (unsigned i = 0; i < 16; i++)
			poke(mm, a + i * PAGE, i + 1);
		for (;;) {
			before = contents_of(mm, a);
			(void)gw_soft_fail_alloc(s->soft, failed + 1);
			err = change_number(mm, a, which);
			(void)gw_soft_fail_alloc(s->soft, 0);
			if (!err)
				break;
			assert_int_equal(err, -ENOMEM);
			after = contents_of(mm, a);
			assert_memory_equal(&before, &after, sizeof(before));
			verify(s, &mm, 1);
			failed++;
		}
		assert_true(failed > 0);
		verify(s, &mm, 1);
		gw_mm_put(mm);
		gw_rcu_barrier();
	}
}

/* The same when frames run out, for tables or pages: wherever that is, nothing is lost. */
static void
test_no_frames(void **state)
{
	(void)state;
	for (unsigned spare = 0; spare < 12; spare++) {
		struct spaces *s = spaces_create(128);
		struct gw_mm *mm = new_space(s), *child;
		const gw_vaddr_t a =
			8 * 512 * TABLE - 8 * PAGE; /* what moves, moves to other tables */
		struct contents before, after;
		gw_pfn_t held[128];
		unsigned n = 0;
		gw_vaddr_t out;

		map_at(mm, a, 16);
		for (unsigned i = 0; i < 16; i++)
			poke(mm, a + i * PAGE, i + 1);
		map_at(mm, a + 16 * PAGE, 1); /* in the way of growth */
		before = contents_of(mm, a);
		while (free_frames(s) > spare)
			assert_int_equal(gw_alloc_from_zonelist(s->m, GW_GFP_NO_WATERMARKS, 0, 0,
						 GW_WMARK_MIN, &held[n++]),
				0);
		if (gw_mremap(mm, a + 4 * PAGE, 12 * PAGE, TABLE, &out))
			assert_int_equal(free_frames(s), spare);
		if (!gw_mm_fork(mm, &child)) {
			(void)!gw_cpu_store(child, a, 99);
			gw_mm_put(child);
		}
		while (n > 0)
			gw_put_page(s->m, held[--n]);
		after = contents_of(mm, a);
		assert_memory_equal(&before, &after, 4 * sizeof(before.words[0]));
		verify(s, &mm, 1);
		gw_mm_put(mm);
		spaces_destroy(s);
	}
}

/* ---- at random ---- */

#define BASE	 ((gw_vaddr_t)0x10000) /* where mmap begins to look for room */
#define PAGES	 560		       /* of the model: two tables share them */
#define SPACES	 4
#define STEPS	 30000
#define MOST_LEN 40

struct model_page {
	bool mapped;
	uint8_t prot;
	uint64_t value;
};

struct model {
	struct spaces *s;
	uint64_t random;
	struct gw_mm *spaces[SPACES]; /* the first n */
	unsigned n;
	struct model_page pages[SPACES][PAGES];
	unsigned moved, migrated, accesses;
};

static unsigned
draw(struct model *w, unsigned limit)
{
	return (unsigned)(test_random(&w->random) % limit);
}

static gw_vaddr_t
address(unsigned page)
{
	return BASE + page * PAGE;
}

/* A random range, its pages all mapped if `mapped`; false: the draw was no luck. */
static bool
draw_range(struct model *w, unsigned space, bool mapped, unsigned *first, unsigned *n)
{
	*first = draw(w, PAGES - MOST_LEN);
	*n = 1 + draw(w, draw(w, 4) ? 6 : MOST_LEN);
	for (unsigned i = 0; mapped && i < *n; i++)
		if (!w->pages[space][*first + i].mapped)
			return false;
	return true;
}

static void
set_range(struct model *w, unsigned space, unsigned first, unsigned n, struct model_page page)
{
	for (unsigned i = 0; i < n && first + i < PAGES; i++)
		w->pages[space][first + i] = page;
}

static void
step_mmap(struct model *w, unsigned space)
{
	struct model_page page = {.mapped = true, .prot = (uint8_t)draw(w, 4)};
	bool fixed = draw(w, 2);
	unsigned first, n;
	gw_vaddr_t at;

	draw_range(w, space, false, &first, &n);
	assert_int_equal(gw_mmap(w->spaces[space], fixed ? address(first) : 0, n * PAGE, page.prot,
				 fixed ? GW_MAP_FIXED : 0, &at),
		0);
	first = (unsigned)((at - BASE) / PAGE);
	if (first + n > PAGES) /* beyond what is modelled */
		assert_int_equal(gw_munmap(w->spaces[space], at, n * PAGE), 0);
	set_range(w, space, first, n,
		first + n > PAGES ? (struct model_page){.mapped = false} : page);
}

static void
step_munmap(struct model *w, unsigned space)
{
	unsigned first, n;

	draw_range(w, space, false, &first, &n);
	assert_int_equal(gw_munmap(w->spaces[space], address(first), n * PAGE), 0);
	set_range(w, space, first, n, (struct model_page){.mapped = false});
}

static void
step_mprotect(struct model *w, unsigned space)
{
	unsigned prot = draw(w, 4), first, n;
	bool mapped = draw_range(w, space, true, &first, &n);

	assert_int_equal(gw_mprotect(w->spaces[space], address(first), n * PAGE, prot),
		mapped ? 0 : -ENOMEM);
	for (unsigned i = 0; mapped && i < n; i++)
		w->pages[space][first + i].prot = (uint8_t)prot;
}

static void
step_dontneed(struct model *w, unsigned space)
{
	unsigned first, n;
	bool mapped = draw_range(w, space, true, &first, &n);

	assert_int_equal(gw_madvise(w->spaces[space], address(first), n * PAGE, GW_MADV_DONTNEED),
		mapped ? 0 : -ENOMEM);
	for (unsigned i = 0; mapped && i < n; i++)
		w->pages[space][first + i].value = 0;
}

static void
step_mremap(struct model *w, unsigned space)
{
	unsigned first, n, n_new = 1 + draw(w, MOST_LEN), to;
	bool mapped = draw_range(w, space, true, &first, &n);
	struct model_page old[MOST_LEN] = {0};
	gw_vaddr_t at;
	int err;

	err = gw_mremap(w->spaces[space], address(first), n * PAGE, n_new * PAGE, &at);
	if (err) { /* the model does not know where VMAs end */
		assert_int_equal(err, -EFAULT);
		return;
	}
	assert_true(mapped);
	w->moved += at != address(first);
	for (unsigned i = 0; i < n; i++)
		old[i] = w->pages[space][first + i];
	set_range(w, space, first, n, (struct model_page){.mapped = false});
	to = (unsigned)((at - BASE) / PAGE);
	if (to + n_new > PAGES) {
		assert_int_equal(gw_munmap(w->spaces[space], at, n_new * PAGE), 0);
		set_range(w, space, to, n_new, (struct model_page){.mapped = false});
		return;
	}
	for (unsigned i = 0; i < n_new; i++)
		w->pages[space][to + i] =
			i < n ? old[i] : (struct model_page){.mapped = true, .prot = old[0].prot};
}

static void
step_fork_or_exit(struct model *w, unsigned space)
{
	unsigned last = w->n - 1;

	if (w->n < SPACES) {
		w->spaces[w->n] = fork_space(w->spaces[space]);
		memcpy(w->pages[w->n++], w->pages[space], sizeof(w->pages[0]));
	} else {
		gw_mm_put(w->spaces[space]);
		w->spaces[space] = w->spaces[last];
		memcpy(w->pages[space], w->pages[last], sizeof(w->pages[0]));
		w->n = last;
	}
}

static int
get_frame(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	(void)ctx;
	(void)src;
	return gw_alloc_from_zonelist(m, GW_GFP_MOVABLE, 0, order, GW_WMARK_MIN, dst);
}

/* The pages of a range go to other frames. */
static void
step_migrate(struct model *w, unsigned space)
{
	const struct gw_migrate_target target = {.get_new_page = get_frame};
	struct gw_machine *m = w->s->m;
	struct gw_migrate_stats stats = {0};
	struct gw_page_list list;
	unsigned first, n;

	draw_range(w, space, false, &first, &n);
	gw_page_list_init(&list);
	gw_lru_add_drain_all(m);
	for (unsigned i = first; i < first + n; i++) {
		gw_pte_t pte = entry_of(w->spaces[space], address(i));

		if (pte)
			(void)!gw_isolate_page(m, gw_pte_pfn(pte), GW_MIGRATE_SYNC, &list);
	}
	(void)!gw_migrate_pages(m, &list, &target, GW_MIGRATE_SYNC, GW_MR_SYSCALL, &stats);
	gw_putback_movable_pages(m, &list);
	w->migrated += (unsigned)stats.succeeded;
}

static void
step_access(struct model *w, unsigned space)
{
	unsigned i = draw(w, PAGES), cpu = draw(w, 2);
	struct model_page *page = &w->pages[space][i];
	uint64_t value = test_random(&w->random);

	if (draw(w, 2)) {
		bool may = page->mapped && page->prot & GW_PROT_WRITE;

		assert_int_equal(try_poke(w->s, cpu, w->spaces[space], address(i), value),
			may ? 0 : -EFAULT);
		page->value = may ? value : page->value;
	} else {
		bool may = page->mapped && page->prot;

		assert_int_equal(try_peek(w->s, cpu, w->spaces[space], address(i), &value),
			may ? 0 : -EFAULT);
		assert_true(!may || value == page->value);
	}
	w->accesses += page->mapped && page->prot;
}

static void
step(struct model *w)
{
	unsigned space = draw(w, w->n);
	unsigned which = draw(w, 200);

	if (which < 10)
		step_mmap(w, space);
	else if (which < 12)
		step_munmap(w, space);
	else if (which < 18)
		step_mprotect(w, space);
	else if (which < 20)
		step_dontneed(w, space);
	else if (which < 28)
		step_mremap(w, space);
	else if (which < 30)
		step_fork_or_exit(w, space);
	else if (which < 34)
		step_migrate(w, space);
	else
		step_access(w, space);
}

/* Whatever is done in whatever order, every address space reads what was written in it, on every
 * CPU (V1 to V3, I5). */
static void
test_random_against_model(void **state)
{
	static struct model w;

	memset(&w, 0, sizeof(w));
	w.s = *state;
	w.random = test_seed();
	w.spaces[w.n++] = new_space(w.s);
	for (unsigned i = 0; i < STEPS; i++) {
		step(&w);
		if (i % 500 == 0)
			verify(w.s, w.spaces, w.n);
	}
	print_message("# %u accesses, %u moves by mremap, %u pages migrated\n", w.accesses, w.moved,
		w.migrated);
	assert_true(w.moved > 0 && w.migrated > 0);
	while (w.n)
		gw_mm_put(w.spaces[--w.n]);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, spaces_setup, spaces_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_mmap_finds_room),
		TEST(test_fixed_replaces),
		TEST(test_munmap_splits),
		TEST(test_tables_are_freed),
		cmocka_unit_test(test_tables_are_flushed),
		TEST(test_mprotect),
		TEST(test_no_access_survives_migration),
		TEST(test_dontneed),
		TEST(test_cold),
		TEST(test_huge_hints),
		TEST(test_mlock),
		TEST(test_stack_grows),
		TEST(test_exec_stack),
		TEST(test_failed_allocations),
		cmocka_unit_test(test_no_frames),
		TEST(test_random_against_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
