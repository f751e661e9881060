/* SPDX-License-Identifier: MIT */
/*
 * test_hinting.c - hinting faults: scans, the two-stage filter, refusals (FACTS 1.7 "Fate", 2.3).
 *
 * Two nodes with a CPU each; memory is CPU 0's until CPU 1 uses it. The clock is the test's.
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>

#include "nodes_fixture.h"

#define PAGES 8

struct world {
	struct nodes *w;
	struct gw_mm *mm;
	gw_vaddr_t addr; /* PAGES pages on node 0, each with its address in its first word */
};

static int
setup(void **state)
{
	struct world *x = calloc(1, sizeof(*x));

	assert_non_null(x);
	x->w = nodes_create(2, 2, NULL, NULL, 10);
	x->w->numa.balancing = GW_BALANCING_NORMAL;
	set_numa(x->w);
	gw_u64_store_relaxed(&x->w->now, MS);
	x->mm = new_space(&x->w->s);
	x->addr = map(x->mm, PAGES);
	for (unsigned i = 0; i < PAGES; i++)
		poke(x->mm, x->addr + i * PAGE, x->addr + i * PAGE);
	gw_lru_add_drain_all(x->w->m);
	*state = x;
	return 0;
}

static int
teardown(void **state)
{
	struct world *x = *state;

	gw_mm_put(x->mm);
	nodes_destroy(x->w);
	free(x);
	return 0;
}

/* All of the address space is hinting, what may. Returns entries changed. */
static uint64_t
scan(struct world *x)
{
	return scan_now(x->w, x->mm);
}

static void
use(struct world *x, unsigned cpu, gw_vaddr_t addr)
{
	uint64_t value = 0;

	assert_int_equal(try_peek(&x->w->s, cpu, x->mm, addr, &value), 0);
	assert_int_equal(value, addr);
}

/* A hinting fault of this CPU; where the page is then. */
static unsigned
hinting_use(struct world *x, unsigned cpu, gw_vaddr_t addr)
{
	(void)scan(x);
	assert_true(hints(x->mm, addr));
	use(x, cpu, addr);
	assert_false(hints(x->mm, addr));
	return node_at(x->w, x->mm, addr);
}

/* X1: a scan takes every CPU's translations away; the next use is a fault, and those after it are
 * not. The counters have the kernel's names and count what happened. */
static void
a_hint_is_one_fault(void **state)
{
	struct world *x = *state;
	uint64_t faults;

	assert_int_equal(scan(x), PAGES);
	assert_int_equal(events(x->w, GW_VM_NUMA_PTE_UPDATES), PAGES);
	for (unsigned i = 0; i < PAGES; i++)
		assert_true(hints(x->mm, x->addr + i * PAGE));
	faults = events(x->w, GW_VM_PGFAULT);
	use(x, 0, x->addr);
	use(x, 0, x->addr);
	assert_int_equal(events(x->w, GW_VM_PGFAULT), faults + 1);
	assert_int_equal(events(x->w, GW_VM_NUMA_HINT_FAULTS), 1);
	assert_int_equal(events(x->w, GW_VM_NUMA_HINT_FAULTS_LOCAL), 1);
	assert_int_equal(node_at(x->w, x->mm, x->addr), 0);
	assert_string_equal(
		gw_vm_event_name(GW_VM_NUMA_HINT_FAULTS_LOCAL), "numa_hint_faults_local");
}

/* Early in its life an address space's page follows the first who uses it, with its bytes, whoever
 * writes or reads; numa_pages_migrated. */
static void
page_follows_its_user(void **state)
{
	struct world *x = *state;

	(void)scan(x);
	use(x, 1, x->addr);
	assert_int_equal(node_at(x->w, x->mm, x->addr), 1);
	assert_int_equal(try_poke(&x->w->s, 1, x->mm, x->addr + PAGE, 5), 0);
	assert_int_equal(node_at(x->w, x->mm, x->addr + PAGE), 1);
	assert_int_equal(peek(x->mm, x->addr + PAGE), 5);
	assert_int_equal(events(x->w, GW_VM_NUMA_PAGES_MIGRATED), 2);
	assert_int_equal(events(x->w, GW_VM_NUMA_HINT_FAULTS), 2);
	assert_int_equal(events(x->w, GW_VM_NUMA_HINT_FAULTS_LOCAL), 0);
	assert_int_equal(events(x->w, GW_VM_PGPROMOTE_CANDIDATE), 0); /* nor does its limit count */
}

/* The two-stage filter: one hinting fault from elsewhere moves nothing, two in a row do, and one of
 * another node in between begins from the start. */
static void
two_stages(void **state)
{
	struct world *x = *state;

	grow_old(x->mm);
	assert_int_equal(hinting_use(x, 1, x->addr), 0);
	assert_int_equal(hinting_use(x, 0, x->addr), 0);
	assert_int_equal(hinting_use(x, 1, x->addr), 0);
	assert_int_equal(hinting_use(x, 1, x->addr), 1);
	assert_int_equal(hinting_use(x, 0, x->addr), 1);
	assert_int_equal(hinting_use(x, 0, x->addr), 0);
}

/* What is known of a page goes along when it is migrated: its next use from where it was last used
 * is the second. */
static void
migrations_carry_the_past(void **state)
{
	struct world *x = *state;
	const int node = 1;
	int status;

	grow_old(x->mm);
	assert_int_equal(hinting_use(x, 0, x->addr), 0);
	assert_int_equal(gw_move_pages(x->mm, 1, &x->addr, &node, &status, 0), 0);
	assert_int_equal(hinting_use(x, 0, x->addr), 0);
}

/* What a frame's last user did is forgotten with him. */
static void
new_pages_have_no_past(void **state)
{
	struct world *x = *state;
	gw_pfn_t page;

	grow_old(x->mm);
	assert_int_equal(hinting_use(x, 1, x->addr), 0);
	page = page_of(x->mm, x->addr);
	assert_int_equal(gw_madvise(x->mm, x->addr, PAGE, GW_MADV_DONTNEED), 0);
	poke(x->mm, x->addr, x->addr);
	assert_int_equal(page_of(x->mm, x->addr), page);
	gw_lru_add_drain_all(x->w->m);
	assert_int_equal(hinting_use(x, 1, x->addr), 0);
}

/* The fault's reference is not in the way; anybody else's is: the page stays, in ordinary use. */
static void
pinned_page_stays(void **state)
{
	struct world *x = *state;
	gw_pfn_t page = page_of(x->mm, x->addr);

	gw_get_page(x->w->m, page);
	assert_int_equal(hinting_use(x, 1, x->addr), 0);
	assert_int_equal(gw_ref_read(&gw_page(x->w->m, page)->refcount), 2);
	assert_true(gw_page_flags(gw_page(x->w->m, page)) & GW_PG_LRU);
	gw_put_page(x->w->m, page);
	assert_int_equal(events(x->w, GW_VM_NUMA_PAGES_MIGRATED), 0);
}

/* Refused: a node that would not be above its high watermark afterwards. */
static void
full_node_is_left_alone(void **state)
{
	struct world *x = *state;
	struct hog h;

	hog(x->w, &h, 1, 31);
	assert_int_equal(hinting_use(x, 1, x->addr), 0);
	gw_put_page(x->w->m, h.pages[--h.n]);
	gw_drain_all_pages(x->w->m);
	assert_int_equal(hinting_use(x, 1, x->addr), 1);
	unhog(x->w, &h);
}

struct file_world {
	struct store *store;
	struct gw_mapping *file;
	struct gw_mm *other;
	gw_vaddr_t addr, other_addr;
};

/* A clean page of a file, on node 0, mapped by x->mm and, perhaps, another. */
static void
map_both(struct world *x, struct file_world *f, unsigned flags, bool both)
{
	const unsigned all = GW_MAP_SHARED | flags;
	uint64_t value;

	f->store = store_create();
	f->file = file_on(&x->w->s, f->store);
	f->other = new_space(&x->w->s);
	f->addr = f->other_addr = 0;
	assert_int_equal(gw_mmap_file(x->mm, 0, PAGE, READWRITE, all, f->file, 1, &f->addr), 0);
	assert_int_equal(
		gw_mmap_file(f->other, 0, PAGE, READWRITE, all, f->file, 1, &f->other_addr), 0);
	value = peek(x->mm, f->addr);
	if (both)
		assert_int_equal(peek(f->other, f->other_addr), value);
	gw_lru_add_drain_all(x->w->m);
}

static void
unmap_both(struct world *x, struct file_world *f)
{
	assert_int_equal(gw_munmap(x->mm, f->addr, PAGE), 0);
	gw_mm_put(f->other);
	file_put(f->file);
	store_destroy(f->store);
}

static unsigned
file_use(struct world *x, struct file_world *f)
{
	uint64_t value;

	(void)scan(x);
	assert_int_equal(try_peek(&x->w->s, 1, x->mm, f->addr, &value), 0);
	return node_at(x->w, x->mm, f->addr);
}

/* Refused: program text that several run. Others' pages of files, and text of one, move. */
static void
shared_text_stays(void **state)
{
	struct world *x = *state;
	struct file_world f;

	map_both(x, &f, GW_MAP_EXEC, true);
	assert_int_equal(file_use(x, &f), 0);
	unmap_both(x, &f);
	map_both(x, &f, GW_MAP_EXEC, false);
	assert_int_equal(file_use(x, &f), 1);
	unmap_both(x, &f);
	map_both(x, &f, 0, true);
	assert_int_equal(file_use(x, &f), 1);
	unmap_both(x, &f);
}

/* Refused: a file's dirty page, when it became dirty after the scan; a scan leaves those out that
 * are dirty already. */
static void
dirty_file_page_stays(void **state)
{
	struct world *x = *state;
	struct file_world f;
	gw_pfn_t page;

	map_both(x, &f, 0, false);
	page = page_of(x->mm, f.addr);
	(void)scan(x);
	assert_true(hints(x->mm, f.addr));
	gw_page_set_dirty(x->w->m, page);
	use(x, 1, x->addr);
	assert_int_equal(file_use(x, &f), 0);
	(void)scan(x);
	assert_false(hints(x->mm, f.addr));
	unmap_both(x, &f);
}

/* What a scan leaves alone: memory with a policy of its own, unless that asks for balancing; memory
 * that is not migratable, or not accessible; a file's that is only read; pages shared
 * copy-on-write; the zero page. */
static void
scans_leave_out(void **state)
{
	struct gw_policy bound = policy(GW_POLICY_BIND, 3);
	struct world *x = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(&x->w->s, store);
	gw_vaddr_t device = 0, text = 0;
	struct gw_mm *child;

	assert_int_equal(gw_munmap(x->mm, x->addr, PAGES * PAGE), 0);
	x->addr = map(x->mm, PAGES);
	(void)peek(x->mm, x->addr); /* the zero page */
	assert_int_equal(gw_mmap(x->mm, 0, PAGE, READWRITE, GW_MAP_IO, &device), 0);
	poke(x->mm, device, 1);
	assert_int_equal(
		gw_mmap_file(x->mm, 0, PAGE, GW_PROT_READ, GW_MAP_SHARED, file, 0, &text), 0);
	(void)peek(x->mm, text);
	poke(x->mm, x->addr + PAGE, 1);
	poke(x->mm, x->addr + 2 * PAGE, 1);
	poke(x->mm, x->addr + 3 * PAGE, 1);
	bind_range(x->mm, x->addr + PAGE, 1, bound);
	assert_int_equal(gw_mprotect(x->mm, x->addr + 3 * PAGE, PAGE, GW_PROT_NONE), 0);
	child = fork_space(x->mm);
	assert_int_equal(scan(x), 0);
	gw_mm_put(child);
	assert_int_equal(scan(x), 1);
	assert_true(hints(x->mm, x->addr + 2 * PAGE));
	bound.flags = GW_POLICY_NUMA_BALANCING;
	bind_range(x->mm, x->addr + PAGE, 1, bound);
	assert_int_equal(scan(x), 1);
	assert_true(hints(x->mm, x->addr + PAGE));
	assert_int_equal(try_poke(&x->w->s, 1, x->mm, x->addr + PAGE, 2), 0);
	assert_int_equal(node_at(x->w, x->mm, x->addr + PAGE), 1);
	assert_int_equal(gw_munmap(x->mm, text, PAGE), 0);
	file_put(file);
	store_destroy(store);
}

/* 2.3: the first scan comes after the delay; then not before the period is over; by the machine's
 * clock. The period is doubled while faults are local or absent, halved when they are not, between
 * its bounds. */
static void
scans_keep_their_times(void **state)
{
	struct world *x = *state;
	struct gw_numa_tunables *t = &x->w->numa;

	t->scan_delay_ms = 1000;
	t->scan_period_min_ms = 100;
	t->scan_period_max_ms = 400;
	set_numa(x->w);
	assert_int_equal(gw_numa_scan(x->mm), 0);
	pass_ms(x->w, 1000);
	assert_int_equal(gw_numa_scan(x->mm), 0);
	pass_ms(x->w, 1);
	assert_int_equal(gw_numa_scan(x->mm), PAGES);
	for (unsigned i = 0; i < PAGES; i++)
		use(x, 1, x->addr + i * PAGE); /* remote: they come over */
	pass_ms(x->w, 99);
	assert_int_equal(gw_numa_scan(x->mm), 0);
	pass_ms(x->w, 1);
	assert_int_equal(gw_numa_scan(x->mm), PAGES);
	assert_int_equal(x->mm->hinting.period_ms, 100);
	for (unsigned scans = 0; scans < 3; scans++) {
		use(x, 1, x->addr); /* local now */
		pass_ms(x->w, 400);
		(void)gw_numa_scan(x->mm);
	}
	assert_int_equal(x->mm->hinting.period_ms, 400);
	use(x, 0, x->addr);
	pass_ms(x->w, 400);
	(void)gw_numa_scan(x->mm);
	assert_int_equal(x->mm->hinting.period_ms, 200);
}

/* 2.3: a scan covers scan_size_mb, the next one goes on behind it, and after the end of the address
 * space comes its beginning. */
static void
scans_go_round(void **state)
{
	struct world *x = *state;
	const unsigned pages = 600; /* 256 to the MB */
	gw_vaddr_t addr = map(x->mm, pages);

	for (unsigned i = 0; i < pages; i++)
		poke(x->mm, addr + i * PAGE, addr + i * PAGE);
	x->w->numa.scan_size_mb = 1;
	set_numa(x->w);
	assert_int_equal(scan(x), 256);
	assert_int_equal(scan(x), 256);
	assert_int_equal(scan(x), 600 + PAGES - 512);
	assert_true(hints(x->mm, addr + 599 * PAGE));
	assert_int_equal(scan(x), 0); /* all are hinting */
	use(x, 0, x->addr);
	assert_int_equal(scan(x), 1);
}

/* Off: nothing is scanned; hints that are there vanish without a migration. */
static void
off_is_off(void **state)
{
	struct world *x = *state;

	assert_int_equal(scan(x), PAGES);
	x->w->numa.balancing = 0;
	set_numa(x->w);
	use(x, 1, x->addr);
	assert_int_equal(node_at(x->w, x->mm, x->addr), 0);
	pass_ms(x->w, 100000);
	assert_int_equal(gw_numa_scan(x->mm), 0);
}

/* Hints and all else that happens to entries: fork, protection, moving, swap out of nothing. */
static void
hints_in_other_hands(void **state)
{
	struct world *x = *state;
	gw_vaddr_t moved = 0;
	struct gw_mm *child;

	(void)scan(x);
	child = fork_space(x->mm);
	assert_int_equal(peek(child, x->addr), x->addr);
	use(x, 0, x->addr);
	assert_int_equal(try_poke(&x->w->s, 0, child, x->addr, 3), 0);
	use(x, 0, x->addr);
	gw_mm_put(child);
	(void)scan(x);
	assert_int_equal(gw_mprotect(x->mm, x->addr, PAGE, GW_PROT_NONE), 0);
	assert_int_equal(try_poke(&x->w->s, 0, x->mm, x->addr, 3), -EFAULT);
	assert_int_equal(gw_mprotect(x->mm, x->addr, PAGE, READWRITE), 0);
	use(x, 0, x->addr);
	(void)scan(x);
	assert_int_equal(gw_mremap(x->mm, x->addr + PAGE, PAGE, (PAGES + 10) * PAGE, &moved), 0);
	assert_int_equal(peek(x->mm, moved), x->addr + PAGE);
}

/* The tunables that make no sense are refused. */
static void
tunables_are_checked(void **state)
{
	struct world *x = *state;
	struct gw_numa_tunables good = x->w->numa, t = good;

	t.balancing = 4;
	assert_int_equal(gw_machine_set_numa(x->w->m, &t), -EINVAL);
	t = good;
	t.scan_period_min_ms = 0;
	assert_int_equal(gw_machine_set_numa(x->w->m, &t), -EINVAL);
	t = good;
	t.scan_period_max_ms = t.scan_period_min_ms - 1;
	assert_int_equal(gw_machine_set_numa(x->w->m, &t), -EINVAL);
	t = good;
	t.scan_size_mb = 0;
	assert_int_equal(gw_machine_set_numa(x->w->m, &t), -EINVAL);
}

/* ---- threads ---- */

#define STEPS 20000

struct program {
	struct world *x;
	unsigned cpu, mistakes;
	gw_atomic_u32 *done;
};

/* Each CPU has its own word of every page, and ticks. */
static void *
run_program(void *arg)
{
	struct program *p = arg;
	struct world *x = p->x;
	uint64_t value[PAGES] = {0}, found;
	struct gw_task task;

	if (gw_task_attach(&task, x->w->m, p->cpu))
		abort();
	for (unsigned step = 1; step <= STEPS; step++) {
		unsigned i = step * 3 % PAGES;
		gw_vaddr_t word = x->addr + i * PAGE + 8 + 8 * p->cpu;

		p->mistakes += gw_cpu_load(x->mm, word, &found) || found != value[i];
		value[i] = step;
		p->mistakes += gw_cpu_store(x->mm, word, step) != 0;
		pass_ms(x->w, 1);
		if (step % 16 == 0)
			(void)gw_numa_scan(x->mm);
	}
	gw_task_detach(&task);
	return NULL;
}

/* I5, X2: tasks of two nodes use the same pages, scan and pull them over: no word is lost. */
static void
nothing_is_lost(void **state)
{
	struct world *x = *state;
	struct program programs[2] = {{.x = x}, {.x = x, .cpu = 1}};
	pthread_t threads[2];

	x->w->numa.scan_delay_ms = 1;
	x->w->numa.scan_period_min_ms = 2;
	x->w->numa.scan_period_max_ms = 4;
	set_numa(x->w);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_program, &programs[i]), 0);
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(programs[i].mistakes, 0);
	}
	assert_true(events(x->w, GW_VM_NUMA_HINT_FAULTS) > 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_hint_is_one_fault),
		T(page_follows_its_user),
		T(two_stages),
		T(migrations_carry_the_past),
		T(new_pages_have_no_past),
		T(pinned_page_stays),
		T(full_node_is_left_alone),
		T(shared_text_stays),
		T(dirty_file_page_stays),
		T(scans_leave_out),
		T(scans_keep_their_times),
		T(scans_go_round),
		T(off_is_off),
		T(hints_in_other_hands),
		T(tunables_are_checked),
		T(nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
