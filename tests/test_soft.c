/* SPDX-License-Identifier: MIT */
/*
 * test_soft.c - the soft machine: bytes, TLBs, shootdowns (godwit/soft.h, X1 and X2; FACTS I5).
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "godwit/migrate.h"
#include "bug_counter.h"
#include "mm_fixture.h"

/* What a moved page must hold, and what must never be read. */
#define GOOD   UINT64_C(0x600d600d600d600d)
#define POISON UINT64_C(0xbadbadbadbadbadb)

/* Pages whose numbers differ by this share a slot: each use of one is a miss for the other. */
#define SLOTS 1024

static struct gw_cpu_stats
stats(struct spaces *s, unsigned cpu)
{
	struct gw_cpu_stats out;

	gw_cpu_stats(s->soft, cpu, &out);
	return out;
}

static uint64_t *
bytes_of(struct spaces *s, gw_pfn_t page)
{
	return s->m->ops->frame_address(s->m->ctx, page);
}

static int
new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	(void)ctx;
	(void)src;
	return gw_alloc_pages(m, GW_GFP_MOVABLE, 0, order, dst);
}

/* Move the page at addr to another frame, if nothing stands in the way. */
static bool
move_page(struct spaces *s, gw_pfn_t page)
{
	static const struct gw_migrate_target target = {.get_new_page = new_page};
	struct gw_page_list list;

	gw_page_list_init(&list);
	gw_lru_add_drain_all(s->m);
	if (gw_isolate_page(s->m, page, GW_MIGRATE_SYNC, &list))
		return false;
	if (gw_migrate_pages(s->m, &list, &target, GW_MIGRATE_SYNC, GW_MR_SYSCALL, NULL) == 0)
		return true;
	gw_putback_movable_pages(s->m, &list);
	return false;
}

/* ---- accesses ---- */

/* Bytes are where they were written, at any alignment and across pages; the rest is zero. */
static void
bytes_across_pages(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map(mm, 4);
	uint8_t model[4 * PAGE] = {0}, found[4 * PAGE], piece[2 * PAGE];
	uint64_t random = test_seed();

	for (unsigned i = 0; i < 500; i++) {
		size_t at = test_random(&random) % (sizeof(model) - 1);
		size_t len = 1 + test_random(&random) % (sizeof(model) - at);

		len = len < sizeof(piece) ? len : sizeof(piece);
		for (size_t k = 0; k < len; k++)
			piece[k] = (uint8_t)test_random(&random);
		memcpy(model + at, piece, len);
		assert_int_equal(gw_cpu_write(mm, addr + at, piece, len), 0);
		at = test_random(&random) % sizeof(model);
		assert_int_equal(gw_cpu_read(mm, addr + at, found, sizeof(model) - at), 0);
		assert_memory_equal(found, model + at, sizeof(model) - at);
	}
	gw_mm_put(mm);
}

/* An access that runs out of its mapping is refused; what lies before the failing page is done. */
static void
access_ends_where_the_mapping_does(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map(mm, 2);
	uint64_t words[2] = {1, 2}, before;

	assert_int_equal(gw_munmap(mm, addr + PAGE, PAGE), 0);
	assert_int_equal(gw_cpu_write(mm, addr + PAGE - 8, words, 16), -EFAULT);
	assert_int_equal(peek(mm, addr + PAGE - 8), 1);
	assert_int_equal(gw_cpu_read(mm, addr + PAGE - 8, words, 16), -EFAULT);
	assert_int_equal(gw_cpu_load(mm, GW_VADDR_END, words), -EFAULT);
	assert_int_equal(gw_cpu_load(mm, GW_VADDR_END - 8, words), -EFAULT);
	assert_int_equal(gw_cpu_load(mm, UINT64_MAX - 7, words), -EFAULT);
	assert_int_equal(gw_cpu_store(mm, addr + 4, 1), -EINVAL);
	assert_int_equal(gw_cpu_add(mm, addr, 5, &before), 0);
	assert_int_equal(before, 0);
	assert_int_equal(gw_cpu_add(mm, addr, 1, &before), 0);
	assert_int_equal(before, 5);
	gw_mm_put(mm);
}

/* A page is walked for once, and written to after one more walk; then its translation hits. */
static void
hits_misses_and_faults_are_counted(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map(mm, 1);
	struct gw_cpu_stats at = stats(s, 0), now;

	assert_int_equal(peek(mm, addr), 0); /* walk, fault: the zero page, walk */
	now = stats(s, 0);
	assert_int_equal(now.misses - at.misses, 2);
	assert_int_equal(now.faults - at.faults, 1);
	assert_int_equal(now.hits - at.hits, 0);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(peek(mm, addr + 8 * i), 0);
	assert_int_equal(stats(s, 0).hits - now.hits, 10);
	assert_int_equal(stats(s, 0).misses, now.misses);

	poke(mm, addr, 7); /* read-only: walk, fault: a page, walk */
	at = stats(s, 0);
	assert_int_equal(at.misses - now.misses, 2);
	for (unsigned i = 0; i < 10; i++)
		poke(mm, addr + 8 * i, i);
	assert_int_equal(stats(s, 0).misses, at.misses);
	assert_int_equal(stats(s, 0).hits - at.hits, 10);
	assert_int_equal(stats(s, 1).hits + stats(s, 1).misses, 0);
	gw_mm_put(mm);
}

/* Addresses and address spaces that share a slot of the TLB are told apart. */
static void
translations_are_told_apart(void **state)
{
	enum { SPACES = 5, PLACES = 40 };
	struct spaces *s = *state;
	struct gw_mm *mms[SPACES];
	uint64_t random = test_seed(), model[SPACES][PLACES] = {{0}};
	/* All share their slots: the pages differ in higher bits alone. */
	static const unsigned shifts[] = {10, 11, 12, 23, 24, 25, 33, 34};

	for (unsigned m = 0; m < SPACES; m++) {
		mms[m] = new_space(s);
		for (unsigned i = 0; i < 8; i++)
			map_at(mms[m], (((gw_vaddr_t)1 << shifts[i]) + 16) * PAGE, 5);
	}
	for (unsigned i = 0; i < 20000; i++) {
		unsigned m = (unsigned)(test_random(&random) % SPACES);
		unsigned p = (unsigned)(test_random(&random) % PLACES);
		gw_vaddr_t addr = (((gw_vaddr_t)1 << shifts[p / 5]) + 16 + p % 5) * PAGE;
		unsigned cpu = (unsigned)(test_random(&random) % 2);
		uint64_t found = 0;

		if (test_random(&random) % 2) {
			assert_int_equal(try_peek(s, cpu, mms[m], addr, &found), 0);
			assert_int_equal(found, model[m][p]);
		} else {
			model[m][p] = test_random(&random);
			assert_int_equal(try_poke(s, cpu, mms[m], addr, model[m][p]), 0);
		}
	}
	for (unsigned m = 0; m < SPACES; m++) {
		assert_int_equal(gw_soft_check(s->soft, mms[m], NULL, NULL), 0);
		gw_mm_put(mms[m]);
	}
}

/* ---- flushes ---- */

/* A flush by address reaches every CPU, that range and that address space alone. */
static void
a_range_is_flushed_on_every_cpu(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s), *other = new_space(s);
	gw_vaddr_t addr = map(mm, 3);
	struct gw_cpu_stats at[2], now;
	uint64_t found;

	addr += 2 * SLOTS * PAGE; /* so that it is large */
	map_at(mm, addr, 3);
	map_at(other, addr, 3);
	for (unsigned cpu = 0; cpu < 2; cpu++) {
		for (unsigned i = 0; i < 3; i++) {
			assert_int_equal(try_poke(s, cpu, mm, addr + i * PAGE, i), 0);
			assert_int_equal(try_poke(s, cpu, other, addr + i * PAGE, i), 0);
		}
		at[cpu] = stats(s, cpu);
	}
	s->m->ops->flush_range(s->m->ctx, gw_mm_id(mm), addr + PAGE, addr + 2 * PAGE);
	for (unsigned cpu = 0; cpu < 2; cpu++) {
		for (unsigned i = 0; i < 3; i++) {
			assert_int_equal(try_peek(s, cpu, mm, addr + i * PAGE, &found), 0);
			assert_int_equal(try_peek(s, cpu, other, addr + i * PAGE, &found), 0);
		}
		now = stats(s, cpu);
		assert_int_equal(now.misses - at[cpu].misses, 1);
		assert_int_equal(now.flushes - at[cpu].flushes, 1);
	}
	/* A large range is looked for slot by slot instead of address by address. */
	s->m->ops->flush_range(s->m->ctx, gw_mm_id(mm), 0, addr + 2 * PAGE);
	at[0] = stats(s, 0);
	peek(mm, addr + 2 * PAGE);
	assert_int_equal(stats(s, 0).misses, at[0].misses);
	for (unsigned i = 0; i < 3; i++) {
		peek(mm, addr + i * PAGE);
		peek(other, addr + i * PAGE);
	}
	assert_int_equal(stats(s, 0).misses - at[0].misses, 2);
	gw_mm_put(mm);
	gw_mm_put(other);
}

/* A flush by frame reaches every CPU and address; of a page that no CPU has used, nobody hears. */
static void
a_frame_is_flushed_wherever_it_is_mapped(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s), *child;
	gw_vaddr_t addr = map(mm, SLOTS + 1);
	struct gw_cpu_stats at;
	uint64_t found;
	gw_pfn_t page;

	poke(mm, addr, 1);
	poke(mm, addr + PAGE, 2);
	child = fork_space(mm);
	page = page_of(mm, addr);
	peek(mm, addr);
	peek(child, addr);
	peek(mm, addr + PAGE);
	at = stats(s, 0);
	s->m->ops->flush_frames(s->m->ctx, &page, 1);
	assert_int_equal(stats(s, 0).flushes - at.flushes, 1);
	peek(mm, addr);
	peek(child, addr);
	peek(mm, addr + PAGE);
	assert_int_equal(stats(s, 0).misses - at.misses, 2);

	s->m->ops->flush_frames(s->m->ctx, &page, 1);
	at = stats(s, 0);
	s->m->ops->flush_frames(s->m->ctx, &page, 1);
	assert_int_equal(stats(s, 0).flushes, at.flushes);

	/* One CPU has used its slot for another page since: the other CPU is reached all the same.
	 */
	assert_int_equal(try_peek(s, 1, mm, addr, &found), 0);
	peek(mm, addr);
	peek(mm, addr + SLOTS * PAGE);
	at = stats(s, 1);
	s->m->ops->flush_frames(s->m->ctx, &page, 1);
	assert_int_equal(stats(s, 1).flushes - at.flushes, 1);
	assert_int_equal(try_peek(s, 1, mm, addr, &found), 0);
	assert_int_equal(stats(s, 1).misses - at.misses, 1);
	gw_mm_put(child);
	gw_mm_put(mm);
}

/* ---- X1: what an access in progress may use ---- */

struct reader {
	struct spaces *s;
	struct gw_mm *mm;
	gw_vaddr_t addr;
	gw_atomic_u32 stop;
	gw_atomic_u64 reads;
	uint64_t wrong;
};

static void
read_page(struct reader *r, gw_vaddr_t addr)
{
	uint64_t words[PAGE / 8];

	if (gw_cpu_read(r->mm, addr, words, sizeof(words)))
		r->wrong++;
	for (size_t i = 0; i < PAGE / 8; i++)
		r->wrong += words[i] != GOOD;
}

/* Reads whole pages as CPU 1, so that an access takes a while: after a hit, and after a walk. */
static void *
read_pages(void *arg)
{
	struct reader *r = arg;
	struct gw_task task;

	if (gw_task_attach(&task, r->s->m, 1))
		return NULL;
	while (!gw_u32_load_acquire(&r->stop)) {
		uint64_t n = gw_u64_add_relaxed(&r->reads, 1);

		read_page(r, r->addr);
		if (n / 100 % 2)
			read_page(r, r->addr + SLOTS * PAGE);
	}
	gw_task_detach(&task);
	return NULL;
}

static void
move_under_a_reader(struct spaces *s)
{
	struct reader r = {.s = s, .mm = new_space(s)};
	unsigned moved = 0;
	pthread_t thread;

	r.addr = map(r.mm, SLOTS + 1);
	for (unsigned i = 0; i < PAGE / 8; i++) {
		poke(r.mm, r.addr + 8 * i, GOOD);
		poke(r.mm, r.addr + SLOTS * PAGE + 8 * i, GOOD);
	}
	assert_int_equal(pthread_create(&thread, NULL, read_pages, &r), 0);
	while (moved < 1000 || gw_u64_load_relaxed(&r.reads) < 1000) {
		gw_pfn_t page = page_of(r.mm, r.addr);
		uint64_t *old = bytes_of(s, page);

		if (!move_page(s, page))
			continue;
		moved++;
		/* The old frame is nobody's now. */
		for (unsigned k = 0; k < PAGE / 8; k++)
			old[k] = POISON;
	}
	gw_u32_store_relaxed(&r.stop, 1);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(r.wrong, 0);
	gw_mm_put(r.mm);
}

/* X1: the old frame of a page that moved is read by nobody, though a CPU reads it all the time. */
static void
no_read_after_the_flush(void **state)
{
	struct spaces *s = *state;

	if (gw_soft_get_order(s->soft) != GW_SOFT_MEMBARRIER)
		skip();
	move_under_a_reader(s);
}

/* The same where every access pays for its own barrier. */
static void
no_read_after_the_flush_with_fences(void **state)
{
	struct spaces *s = *state;

	assert_int_equal(gw_soft_set_order(s->soft, GW_SOFT_FENCES), 0);
	assert_int_equal(gw_soft_get_order(s->soft), GW_SOFT_FENCES);
	move_under_a_reader(s);
}

struct adder {
	struct spaces *s;
	struct gw_mm *mm;
	gw_vaddr_t addr;
	gw_atomic_u64 added;
	gw_atomic_u32 stop;
};

static void *
add(void *arg)
{
	struct adder *a = arg;
	struct gw_task task;

	if (gw_task_attach(&task, a->s->m, 1))
		return NULL;
	for (uint64_t i = 0; !gw_u32_load_acquire(&a->stop); i++) {
		if (gw_cpu_add(a->mm, a->addr + i % 4 * PAGE, 1, NULL))
			break;
		gw_u64_add_relaxed(&a->added, 1);
	}
	gw_task_detach(&task);
	return NULL;
}

static uint64_t
sum(struct gw_mm *mm, gw_vaddr_t addr)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < 4; i++)
		all += peek(mm, addr + i * PAGE);
	return all;
}

/* I5: additions are neither lost nor done twice while their pages move, are shared by fork, and
 * are copied on the next write; a child's sum does not move any more. */
static void
additions_survive_moves_and_forks(void **state)
{
	struct spaces *s = *state;
	struct adder a = {.s = s, .mm = new_space(s)};
	unsigned moved = 0;
	pthread_t thread;

	/* Until additions and moves have had their share of the host's CPUs. */
	a.addr = map(a.mm, 4);
	assert_int_equal(pthread_create(&thread, NULL, add, &a), 0);
	for (unsigned i = 0; moved < 500 || gw_u64_load_relaxed(&a.added) < 20000; i++) {
		gw_vaddr_t addr = a.addr + i % 4 * PAGE;
		gw_pfn_t page = gw_pte_pfn(entry_of(a.mm, addr));
		struct gw_mm *child;
		uint64_t once;

		moved += move_page(s, page);
		if (i % 8)
			continue;
		child = fork_space(a.mm);
		once = sum(child, a.addr);
		moved += move_page(s, gw_pte_pfn(entry_of(child, addr)));
		assert_int_equal(sum(child, a.addr), once);
		gw_mm_put(child);
	}
	gw_u32_store_relaxed(&a.stop, 1);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(sum(a.mm, a.addr), gw_u64_load_relaxed(&a.added));
	gw_mm_put(a.mm);
}

/* ---- what the machine itself finds ---- */

static void
flush_range_not(void *ctx, uint32_t mm_id, uint64_t start, uint64_t end)
{
	(void)ctx;
	(void)mm_id;
	(void)start;
	(void)end;
}

/* A flush that was forgotten is found in the idle machine, by comparing TLBs with page tables. */
static void
a_forgotten_flush_is_found(void **state)
{
	struct spaces *s = *state;
	struct gw_machine_ops ops = *s->m->ops;
	const struct gw_machine_ops *right = s->m->ops;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map(mm, 2);

	poke(mm, addr, 1);
	poke(mm, addr + PAGE, 1);
	assert_int_equal(gw_soft_check(s->soft, mm, NULL, NULL), 0);
	ops.flush_range = flush_range_not;
	s->m->ops = &ops;
	assert_int_equal(gw_mprotect(mm, addr, PAGE, GW_PROT_READ), 0);
	s->m->ops = right;
	assert_int_equal(gw_soft_check(s->soft, mm, NULL, NULL), 1);
	gw_flush_range(mm, addr, addr + PAGE);
	assert_int_equal(gw_soft_check(s->soft, mm, NULL, NULL), 0);
	gw_mm_put(mm);
}

/* A translation to a frame that was freed without a flush is a BUG at its next use (GW_CHECKS). */
static void
a_stale_translation_is_a_bug(void **state)
{
	struct spaces *s = *state;
	struct gw_machine_ops ops = *s->m->ops;
	const struct gw_machine_ops *right = s->m->ops;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map(mm, 1);
	uint64_t found;

	poke(mm, addr, 1);
	gw_lru_add_drain_all(s->m);
	ops.flush_range = flush_range_not;
	ops.bug = note_bug;
	s->m->ops = &ops;
	assert_int_equal(gw_madvise(mm, addr, PAGE, GW_MADV_DONTNEED), 0);
	bugs = 0;
	assert_int_equal(gw_cpu_load(mm, addr, &found), 0);
	assert_int_equal(bugs, GW_CHECKS ? 1 : 0);
	s->m->ops = right;
	gw_flush_range(mm, addr, addr + PAGE);
	gw_mm_put(mm);
}

/* ---- making one ---- */

/* A contradiction is one clear line, and nothing is left. */
static void
bad_configs_are_refused(void **state)
{
	struct gw_zone_config zone = {.name = "Normal", .end = 100};
	struct gw_machine_config config;
	struct gw_error err = {""};
	struct gw_soft *soft = NULL;

	(void)state;
	gw_machine_config_init(&config);
	config.n_frames = 50;
	config.zones = &zone;
	config.n_zones = 1;
	assert_int_equal(gw_soft_create(&config, &soft, &err), -EINVAL);
	assert_true(err.text[0]);
	config.n_frames = 100;
	config.n_cpus = 0;
	assert_int_equal(gw_soft_create(&config, &soft, NULL), -EINVAL);
	assert_null(soft);
	gw_soft_destroy(NULL);
}

/* Frames outside all zones, and zones that do not begin at 0, are no obstacle. */
static void
zones_with_gaps(void **state)
{
	const struct gw_zone_config zones[] = {{.name = "DMA", .start = 3, .end = 100},
		{.name = "Normal", .start = 128, .end = 999}};
	struct gw_machine_config config;
	struct gw_soft *soft = NULL;
	struct gw_task task;

	(void)state;
	gw_machine_config_init(&config);
	config.n_frames = 1024;
	config.zones = zones;
	config.n_zones = 2;
	assert_int_equal(gw_soft_create(&config, &soft, NULL), 0);
	assert_int_equal(gw_task_attach(&task, gw_soft_machine(soft), 0), 0);
	assert_int_equal(gw_machine_check(gw_soft_machine(soft), NULL, NULL), 0);
	gw_task_detach(&task);
	gw_soft_destroy(soft);
}

/* Everything that may be done to an address space, in one go; whatever fails must say -ENOMEM. */
static void
use_everything(struct spaces *s, struct gw_mm *mm, gw_vaddr_t addr)
{
	struct gw_mm *child = NULL;
	gw_vaddr_t more = 0, moved = 0;
	int err = gw_mm_fork(mm, &child);

	assert_true(err == 0 || err == -ENOMEM);
	if (!err) {
		err = gw_cpu_store(child, addr, 3);
		assert_true(err == 0 || err == -ENOMEM);
		assert_int_equal(peek(mm, addr), GOOD);
		gw_mm_put(child);
	}
	err = gw_mmap(mm, 0, 4 * PAGE, READWRITE, 0, &more);
	assert_true(err == 0 || err == -ENOMEM);
	if (!err) {
		err = gw_cpu_store(mm, more, GOOD);
		assert_true(err == 0 || err == -ENOMEM);
		err = gw_mremap(mm, more, 4 * PAGE, 600 * PAGE, &moved);
		assert_true(err == 0 || err == -ENOMEM);
		if (err)
			assert_int_equal(gw_munmap(mm, more, 4 * PAGE), 0);
		else
			assert_int_equal(gw_munmap(mm, moved, 600 * PAGE), 0);
	}
	err = gw_mprotect(mm, addr + PAGE, PAGE, GW_PROT_READ);
	assert_true(err == 0 || err == -ENOMEM);
	err = gw_munmap(mm, addr + 3 * PAGE, PAGE);
	assert_true(err == 0 || err == -ENOMEM);
	(void)move_page(s, page_of(mm, addr));
	assert_int_equal(peek(mm, addr), GOOD);
	assert_int_equal(peek(mm, addr + PAGE), GOOD);
}

/* Whichever of the engine's requests for memory fails, no byte and no frame is lost.
 */
static void
every_failed_allocation_is_survived(void **state)
{
	struct spaces *s = *state;
	uint64_t nth = 0, made;

	do {
		struct gw_mm *mm = new_space(s);
		gw_vaddr_t addr = map(mm, 5);

		for (unsigned i = 0; i < 5; i++)
			poke(mm, addr + i * PAGE, GOOD);
		gw_soft_fail_alloc(s->soft, ++nth);
		use_everything(s, mm, addr);
		made = gw_soft_fail_alloc(s->soft, 0);
		verify(s, (struct gw_mm *const[]){mm}, 1);
		gw_mm_put(mm);
		assert_int_equal(free_frames(s), s->free);
	} while (nth <= made);
	assert_true(nth > 10);
}

#define T(f) cmocka_unit_test_setup_teardown(f, spaces_setup, spaces_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(bytes_across_pages),
		T(access_ends_where_the_mapping_does),
		T(hits_misses_and_faults_are_counted),
		T(translations_are_told_apart),
		T(a_range_is_flushed_on_every_cpu),
		T(a_frame_is_flushed_wherever_it_is_mapped),
		T(no_read_after_the_flush),
		T(no_read_after_the_flush_with_fences),
		T(additions_survive_moves_and_forks),
		T(a_forgotten_flush_is_found),
		T(a_stale_translation_is_a_bug),
		cmocka_unit_test(bad_configs_are_refused),
		cmocka_unit_test(zones_with_gaps),
		T(every_failed_allocation_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
