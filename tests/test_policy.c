/* SPDX-License-Identifier: MIT */
/*
 * test_policy.c - where new pages go by policy, and mbind(2) (FACTS 2.3, godwit/policy.h).
 *
 * Four nodes in a row, 0 - 1 - 2 - 3, ten further for each step; a CPU on each.
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>

#include "godwit/huge.h"
#include "godwit/swap.h"
#include "nodes_fixture.h"

#define NODES	  4
#define SET(a, b) ((uint64_t)1 << (a) | (uint64_t)1 << (b))
#define ONE(a)	  ((uint64_t)1 << (a))

static const uint8_t in_a_row[NODES * NODES] = {
	10, 20, 30, 40, /**/ 20, 10, 20, 30, /**/ 30, 20, 10, 20, /**/ 40, 30, 20, 10};

static int
setup(void **state)
{
	*state = nodes_create(NODES, NODES, in_a_row, NULL, 0);
	return 0;
}

static int
teardown(void **state)
{
	nodes_destroy(*state);
	return 0;
}

/* The node of a page that this CPU touches first. */
static unsigned
touch(struct nodes *w, unsigned cpu, struct gw_mm *mm, gw_vaddr_t addr)
{
	assert_int_equal(try_poke(&w->s, cpu, mm, addr, addr), 0);
	return node_at(w, mm, addr);
}

/* DEFAULT and LOCAL: the node of the CPU that faults; when it is full, the nearest other one, here
 * the higher of two equally near. */
static void
local_is_where_the_cpu_is(void **state)
{
	struct nodes *w = *state;
	struct gw_mm *mm = new_space(&w->s);
	gw_vaddr_t addr = map(mm, 16);
	struct hog hog2;

	bind_range(mm, addr + 8 * PAGE, 8, policy(GW_POLICY_LOCAL, 0));
	for (unsigned cpu = 0; cpu < NODES; cpu++) {
		assert_int_equal(touch(w, cpu, mm, addr + cpu * PAGE), cpu);
		assert_int_equal(touch(w, cpu, mm, addr + (8 + cpu) * PAGE), cpu);
	}
	hog(w, &hog2, 2, 0);
	assert_int_equal(touch(w, 2, mm, addr + 5 * PAGE), 3);
	unhog(w, &hog2);
	gw_mm_put(mm);
}

/* L1: under BIND a page is on the nearest node of the set that has room; when all of them are full
 * there is none, however much others have. */
static void
bind_never_falls_back(void **state)
{
	struct nodes *w = *state;
	struct gw_mm *mm = new_space(&w->s);
	gw_vaddr_t addr = map(mm, 8);
	struct hog hog1, hog3;

	bind_range(mm, addr, 8, policy(GW_POLICY_BIND, SET(1, 3)));
	assert_int_equal(touch(w, 0, mm, addr), 1);
	assert_int_equal(touch(w, 3, mm, addr + PAGE), 3);
	hog(w, &hog1, 1, 0);
	assert_int_equal(touch(w, 0, mm, addr + 2 * PAGE), 3);
	hog(w, &hog3, 3, 0);
	assert_int_equal(try_poke(&w->s, 0, mm, addr + 3 * PAGE, 1), -ENOMEM);
	assert_true(free_on(w, 0) > 0);
	unhog(w, &hog1);
	assert_int_equal(touch(w, 3, mm, addr + 3 * PAGE), 1);
	unhog(w, &hog3);
	gw_mm_put(mm);
}

/* PREFERRED: its node, then those nearest to it, wherever the CPU is. */
static void
preferred_falls_back_by_distance(void **state)
{
	struct nodes *w = *state;
	struct gw_mm *mm = new_space(&w->s);
	gw_vaddr_t addr = map(mm, 8);
	struct hog hog3, hog2;

	bind_range(mm, addr, 8, policy(GW_POLICY_PREFERRED, ONE(3)));
	assert_int_equal(touch(w, 0, mm, addr), 3);
	hog(w, &hog3, 3, 0);
	assert_int_equal(touch(w, 0, mm, addr + PAGE), 2);
	hog(w, &hog2, 2, 0);
	assert_int_equal(touch(w, 0, mm, addr + 2 * PAGE), 1);
	unhog(w, &hog3);
	unhog(w, &hog2);
	gw_mm_put(mm);
}

/* PREFERRED_MANY: the set's nodes, nearest first; then the others, those nearest to the CPU. */
static void
preferred_many_falls_back_to_the_cpu(void **state)
{
	struct nodes *w = *state;
	struct gw_mm *mm = new_space(&w->s);
	gw_vaddr_t addr = map(mm, 8);
	struct hog hog3, hog2;

	bind_range(mm, addr, 8, policy(GW_POLICY_PREFERRED_MANY, SET(2, 3)));
	assert_int_equal(touch(w, 0, mm, addr), 2);
	hog(w, &hog2, 2, 0);
	assert_int_equal(touch(w, 0, mm, addr + PAGE), 3);
	hog(w, &hog3, 3, 0);
	assert_int_equal(touch(w, 0, mm, addr + 2 * PAGE), 0);
	unhog(w, &hog3);
	unhog(w, &hog2);
	gw_mm_put(mm);
}

/* INTERLEAVE goes by the page's offset in its VMA, in whatever order pages come; what is given up
 * and touched again comes to the same node; a piece that is moved elsewhere keeps its offsets. */
static void
interleave_goes_by_offset(void **state)
{
	static const unsigned nodes[] = {0, 2, 3};
	struct nodes *w = *state;
	struct gw_mm *mm = new_space(&w->s);
	gw_vaddr_t addr = map(mm, 12), far = (gw_vaddr_t)1 << 40, moved = 0;

	map_at(mm, far, 1);
	bind_range(mm, addr, 12, policy(GW_POLICY_INTERLEAVE, SET(0, 2) | ONE(3)));
	for (unsigned i = 12; i-- > 0;)
		assert_int_equal(touch(w, 1, mm, addr + i * PAGE), nodes[i % 3]);
	assert_int_equal(gw_madvise(mm, addr, 12 * PAGE, GW_MADV_DONTNEED), 0);
	assert_int_equal(touch(w, 0, mm, addr + 7 * PAGE), nodes[7 % 3]);
	assert_int_equal(gw_mremap(mm, addr + 5 * PAGE, 4 * PAGE, 100 * PAGE, &moved), 0);
	assert_int_not_equal(moved, addr + 5 * PAGE);
	assert_int_equal(touch(w, 0, mm, moved + 3 * PAGE), nodes[8 % 3]);
	gw_mm_put(mm);
}

/* WEIGHTED_INTERLEAVE: as many pages in a row as the node's weight says. */
static void
weights_are_pages_in_a_row(void **state)
{
	static const unsigned nodes[] = {1, 1, 1, 2, 3, 3};
	struct nodes *w = *state;
	struct gw_mm *mm = new_space(&w->s);
	gw_vaddr_t addr = map(mm, 18);

	assert_int_equal(gw_set_node_weight(w->m, 1, 3), 0);
	assert_int_equal(gw_set_node_weight(w->m, 3, 2), 0);
	assert_int_equal(gw_set_node_weight(w->m, 3, 0), -EINVAL);
	assert_int_equal(gw_set_node_weight(w->m, 3, 256), -EINVAL);
	assert_int_equal(gw_set_node_weight(w->m, NODES, 1), -EINVAL);
	bind_range(mm, addr, 18, policy(GW_POLICY_WEIGHTED_INTERLEAVE, ONE(1) | ONE(2) | ONE(3)));
	for (unsigned i = 0; i < 18; i++)
		assert_int_equal(touch(w, 0, mm, addr + i * PAGE), nodes[i % 6]);
	gw_mm_put(mm);
}

/* The task's policy holds where the VMA has none; the VMA's comes first. Detaching ends it. */
static void
tasks_have_policies(void **state)
{
	const struct gw_policy bind3 = policy(GW_POLICY_BIND, ONE(3));
	const struct gw_policy none = policy(GW_POLICY_DEFAULT, 0);
	const struct gw_policy wrong = policy(GW_POLICY_BIND, ONE(NODES));
	struct nodes *w = *state;
	struct gw_mm *mm = new_space(&w->s);
	gw_vaddr_t addr = map(mm, 8);

	bind_range(mm, addr + 4 * PAGE, 4, policy(GW_POLICY_PREFERRED, ONE(1)));
	on_cpu(w, 0);
	assert_int_equal(gw_task_set_policy(gw_current(), &bind3), 0);
	assert_int_equal(gw_task_set_policy(gw_current(), &wrong), -EINVAL);
	poke(mm, addr, 1);
	poke(mm, addr + 4 * PAGE, 1);
	assert_int_equal(gw_task_set_policy(gw_current(), &none), 0);
	poke(mm, addr + PAGE, 1);
	off_cpu(w);
	assert_int_equal(node_at(w, mm, addr), 3);
	assert_int_equal(node_at(w, mm, addr + 4 * PAGE), 1);
	assert_int_equal(node_at(w, mm, addr + PAGE), 0);
	gw_mm_put(mm);
}

/* Every kind of fault asks the policy: a first write, a file's page, a private copy of it, a copy
 * on write, and a page read in from swap; and a file's page that is read without being mapped. */
static void
every_fault_asks_the_policy(void **state)
{
	const struct gw_policy bind3 = policy(GW_POLICY_BIND, ONE(3));
	struct nodes *w = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(&w->s, store);
	struct gw_mm *mm = new_space(&w->s), *child;
	gw_vaddr_t anon = map(mm, 4), shared = 0, private = 0;
	uint8_t byte;
	gw_pfn_t page;
	void *ctx;

	assert_int_equal(gw_soft_ram_backing(16, &ctx), 0);
	assert_int_equal(gw_swap_on(w->m, &gw_soft_ram_ops, ctx, 16), 0);
	assert_int_equal(
		gw_mmap_file(mm, 0, 4 * PAGE, READWRITE, GW_MAP_SHARED, file, 0, &shared), 0);
	assert_int_equal(gw_mmap_file(mm, 0, 4 * PAGE, READWRITE, 0, file, 4, &private), 0);
	bind_range(mm, anon, 4, bind3);
	bind_range(mm, shared, 4, bind3);
	bind_range(mm, private, 4, policy(GW_POLICY_BIND, ONE(2)));
	assert_int_equal(touch(w, 0, mm, anon), 3);
	assert_int_equal(touch(w, 0, mm, shared), 3);
	assert_int_equal(touch(w, 0, mm, private), 2);
	child = fork_space(mm);
	page = page_of(mm, anon);
	assert_int_equal(touch(w, 0, child, anon), 3);
	assert_int_not_equal(page_of(child, anon), page);
	gw_mm_put(child);
	assert_int_equal(gw_madvise(mm, anon, PAGE, GW_MADV_PAGEOUT), 0);
	assert_int_equal(gw_pte_kind(entry_of(mm, anon)), GW_PTE_IS_SWAP);
	assert_int_equal(touch(w, 0, mm, anon), 3);
	on_cpu(w, 0);
	assert_int_equal(gw_task_set_policy(gw_current(), &bind3), 0);
	assert_int_equal(gw_mapping_read(file, 9 * PAGE, &byte, 1), 0);
	off_cpu(w);
	page = gw_mapping_find(file, 9);
	assert_int_equal(node_of(w, page), 3);
	gw_put_page(w->m, page);
	gw_mm_put(mm);
	assert_int_equal(gw_swap_off(w->m), 0);
	file_put(file);
	store_destroy(store);
}

static void
assert_policy(struct gw_mm *mm, gw_vaddr_t addr, enum gw_policy_mode mode, uint64_t nodes)
{
	struct gw_policy found;

	assert_int_equal(gw_get_policy(mm, addr, &found), 0);
	assert_int_equal(found.mode, mode);
	assert_int_equal(found.nodes, nodes);
}

/* L2: pieces of a VMA, what fork makes of it, and where mremap takes it, have its policy; a range's
 * policy ends at the range's ends. */
static void
policies_stay_with_their_memory(void **state)
{
	struct nodes *w = *state;
	struct gw_mm *mm = new_space(&w->s), *child;
	gw_vaddr_t addr = map(mm, 8), moved = 0;
	struct gw_policy found;

	bind_range(mm, addr + 2 * PAGE, 4, policy(GW_POLICY_BIND, ONE(2)));
	assert_policy(mm, addr + PAGE, GW_POLICY_DEFAULT, 0);
	assert_policy(mm, addr + 2 * PAGE, GW_POLICY_BIND, ONE(2));
	assert_policy(mm, addr + 5 * PAGE, GW_POLICY_BIND, ONE(2));
	assert_policy(mm, addr + 6 * PAGE, GW_POLICY_DEFAULT, 0);
	assert_int_equal(gw_munmap(mm, addr + 3 * PAGE, PAGE), 0);
	assert_policy(mm, addr + 4 * PAGE, GW_POLICY_BIND, ONE(2));
	poke(mm, addr + 4 * PAGE, 1);
	child = fork_space(mm);
	assert_policy(child, addr + 4 * PAGE, GW_POLICY_BIND, ONE(2));
	gw_mm_put(child);
	assert_int_equal(gw_mremap(mm, addr + 4 * PAGE, 2 * PAGE, 64 * PAGE, &moved), 0);
	assert_policy(mm, moved + 63 * PAGE, GW_POLICY_BIND, ONE(2));
	assert_int_equal(gw_get_policy(mm, addr + 3 * PAGE, &found), -EFAULT);
	gw_mm_put(mm);
}

static int
bind_with(struct gw_mm *mm, gw_vaddr_t addr, unsigned pages, struct gw_policy p, unsigned flags)
{
	return gw_mbind(mm, addr, pages * PAGE, &p, flags);
}

/* mbind(2) without MOVE leaves pages alone; MOVE brings those that are elsewhere, with their bytes,
 * and each to its own node if they are interleaved; those of other ranges stay. */
static void
mbind_moves(void **state)
{
	struct nodes *w = *state;
	struct gw_mm *mm = new_space(&w->s);
	gw_vaddr_t addr = map(mm, 12);

	for (unsigned i = 0; i < 12; i++)
		assert_int_equal(touch(w, 0, mm, addr + i * PAGE), 0);
	assert_int_equal(bind_with(mm, addr, 4, policy(GW_POLICY_BIND, ONE(2)), 0), 0);
	assert_int_equal(node_at(w, mm, addr), 0);
	assert_int_equal(bind_with(mm, addr, 4, policy(GW_POLICY_BIND, ONE(2)), GW_MBIND_MOVE), 0);
	assert_int_equal(bind_with(mm, addr + 4 * PAGE, 6, policy(GW_POLICY_INTERLEAVE, SET(1, 3)),
				 GW_MBIND_MOVE | GW_MBIND_STRICT),
		0);
	for (unsigned i = 0; i < 12; i++) {
		unsigned expected = i < 4 ? 2 : i % 2 ? 3 : 1;

		assert_int_equal(node_at(w, mm, addr + i * PAGE), i < 10 ? expected : 0);
		assert_int_equal(peek(mm, addr + i * PAGE), addr + i * PAGE);
	}
	gw_mm_put(mm);
}

/* A large page moves whole, as all of its frames do at once. */
static void
mbind_moves_large_pages(void **state)
{
	const struct gw_policy bind2 = policy(GW_POLICY_BIND, ONE(2));
	struct nodes *w = *state;
	struct gw_mm *mm = new_space(&w->s);
	struct gw_thp_tunables thp;
	gw_vaddr_t addr = (gw_vaddr_t)1 << 30;
	const int node = 1;
	int status;

	gw_thp_tunables_init(&thp);
	thp.enabled = GW_THP_ALWAYS;
	thp.orders = 1u << 4;
	assert_int_equal(gw_machine_set_thp(w->m, &thp), 0);
	map_at(mm, addr, 32);
	for (unsigned i = 0; i < 32; i++)
		poke(mm, addr + i * PAGE, i);
	assert_int_equal(bind_with(mm, addr, 32, bind2, GW_MBIND_MOVE | GW_MBIND_STRICT), 0);
	for (unsigned i = 0; i < 32; i++) {
		assert_int_equal(node_at(w, mm, addr + i * PAGE), 2);
		assert_int_equal(gw_page_head(w->m, page_of(mm, addr + i * PAGE)),
			page_of(mm, addr + (i & 16) * PAGE));
		assert_int_equal(peek(mm, addr + i * PAGE), i);
	}
	addr += 21 * PAGE;
	assert_int_equal(gw_move_pages(mm, 1, &addr, &node, &status, 0), 0);
	addr -= 2 * PAGE;
	assert_int_equal(node_at(w, mm, addr), 1);
	gw_mm_put(mm);
}

/* STRICT says -EIO of pages that are elsewhere: alone, before anything is changed; with MOVE, after
 * the policy was set, of those that stayed. What several map moves with MOVE_ALL only. */
static void
mbind_is_strict(void **state)
{
	const struct gw_policy bind2 = policy(GW_POLICY_BIND, ONE(2));
	struct nodes *w = *state;
	struct gw_mm *mm = new_space(&w->s), *child;
	gw_vaddr_t addr = map(mm, 4);

	assert_int_equal(touch(w, 0, mm, addr), 0);
	assert_int_equal(bind_with(mm, addr, 4, bind2, GW_MBIND_STRICT), -EIO);
	assert_policy(mm, addr, GW_POLICY_DEFAULT, 0);
	assert_int_equal(
		bind_with(mm, addr, 4, policy(GW_POLICY_BIND, ONE(0)), GW_MBIND_STRICT), 0);
	assert_int_equal(bind_with(mm, addr, 4, policy(GW_POLICY_DEFAULT, 0), GW_MBIND_STRICT), 0);
	child = fork_space(mm);
	assert_int_equal(bind_with(mm, addr, 4, bind2, GW_MBIND_MOVE), 0);
	assert_int_equal(node_at(w, mm, addr), 0);
	assert_int_equal(bind_with(mm, addr, 4, bind2, GW_MBIND_MOVE | GW_MBIND_STRICT), -EIO);
	assert_policy(mm, addr, GW_POLICY_BIND, ONE(2));
	assert_int_equal(node_at(w, mm, addr), 0);
	assert_int_equal(bind_with(mm, addr, 4, bind2, GW_MBIND_MOVE_ALL | GW_MBIND_STRICT), 0);
	assert_int_equal(node_at(w, mm, addr), 2);
	assert_int_equal(node_at(w, child, addr), 2);
	gw_mm_put(child);
	gw_mm_put(mm);
}

/* The documented errors, with nothing changed. */
static void
mbind_refuses(void **state)
{
	const struct gw_policy bind2 = policy(GW_POLICY_BIND, ONE(2));
	struct nodes *w = *state;
	struct gw_mm *mm = new_space(&w->s);
	gw_vaddr_t addr = map(mm, 4);
	struct gw_policy p = bind2;

	assert_int_equal(bind_with(mm, addr + 1, 1, bind2, 0), -EINVAL);
	assert_int_equal(bind_with(mm, addr, 0, bind2, 0), -EINVAL);
	assert_int_equal(bind_with(mm, addr, 4, bind2, 8), -EINVAL);
	assert_int_equal(bind_with(mm, addr, 5, bind2, 0), -EFAULT);
	assert_int_equal(bind_with(mm, addr, 4, policy(GW_POLICY_BIND, 0), 0), -EINVAL);
	assert_int_equal(bind_with(mm, addr, 4, policy(GW_POLICY_BIND, ONE(NODES)), 0), -EINVAL);
	assert_int_equal(bind_with(mm, addr, 4, policy(GW_POLICY_LOCAL, ONE(1)), 0), -EINVAL);
	assert_int_equal(bind_with(mm, addr, 4, policy(GW_POLICY_DEFAULT, ONE(1)), 0), -EINVAL);
	assert_int_equal(
		bind_with(mm, addr, 4,
			policy((enum gw_policy_mode)(GW_POLICY_WEIGHTED_INTERLEAVE + 1), 1), 0),
		-EINVAL);
	p.flags = GW_POLICY_NUMA_BALANCING;
	assert_int_equal(bind_with(mm, addr, 4, p, 0), 0);
	p.mode = GW_POLICY_INTERLEAVE;
	assert_int_equal(bind_with(mm, addr, 4, p, 0), -EINVAL);
	assert_policy(mm, addr, GW_POLICY_BIND, ONE(2));
	gw_mm_put(mm);
}

/* E12: a device's memory is not moved for a policy, nor pages of a file that never move. */
static void
some_memory_is_not_migratable(void **state)
{
	const struct gw_policy bind2 = policy(GW_POLICY_BIND, ONE(2));
	struct nodes *w = *state;
	struct store *store = store_create();
	struct gw_mm *mm = new_space(&w->s);
	gw_vaddr_t device = 0, mapped = 0;
	struct gw_mapping *file;

	assert_int_equal(gw_mapping_create(
				 w->m, &store_ops, store, STORE_PAGES, GW_MAPPING_UNMOVABLE, &file),
		0);
	assert_int_equal(gw_mmap(mm, 0, PAGE, READWRITE, GW_MAP_IO, &device), 0);
	assert_int_equal(gw_mmap_file(mm, 0, PAGE, READWRITE, GW_MAP_SHARED, file, 0, &mapped), 0);
	assert_int_equal(touch(w, 0, mm, device), 0);
	assert_int_equal(touch(w, 0, mm, mapped), 0);
	assert_int_equal(bind_with(mm, device, 1, bind2, GW_MBIND_MOVE_ALL), 0);
	assert_int_equal(bind_with(mm, mapped, 1, bind2, GW_MBIND_MOVE_ALL), 0);
	assert_int_equal(node_at(w, mm, device), 0);
	assert_int_equal(node_at(w, mm, mapped), 0);
	gw_mm_put(mm);
	file_put(file);
	store_destroy(store);
}

/* Whatever allocation fails in a split for a policy, the address space is as it was, or has it. */
static void
mbind_survives_failed_allocations(void **state)
{
	const struct gw_policy bind2 = policy(GW_POLICY_BIND, ONE(2));
	struct nodes *w = *state;
	unsigned failures = 0;
	int err;

	do {
		struct gw_mm *mm = new_space(&w->s);
		gw_vaddr_t addr = map(mm, 8);

		poke(mm, addr + 3 * PAGE, 7);
		(void)gw_soft_fail_alloc(w->s.soft, failures + 1);
		err = bind_with(mm, addr + 2 * PAGE, 3, bind2, GW_MBIND_MOVE);
		(void)gw_soft_fail_alloc(w->s.soft, 0);
		assert_true(err == 0 || err == -ENOMEM);
		failures += err != 0;
		assert_policy(mm, addr + 3 * PAGE, err ? GW_POLICY_DEFAULT : GW_POLICY_BIND,
			err ? 0 : ONE(2));
		assert_int_equal(peek(mm, addr + 3 * PAGE), 7);
		gw_mm_put(mm);
	} while (err);
	assert_true(failures >= 2);
}

/* ---- threads ---- */

#define PAGES 32
#define STEPS 20000

struct program {
	struct nodes *w;
	struct gw_mm *mm;
	gw_vaddr_t addr;
	gw_atomic_u32 done;
	unsigned mistakes;
};

static void *
run_program(void *arg)
{
	struct program *p = arg;
	uint64_t value[PAGES] = {0}, found;
	struct gw_task task;

	if (gw_task_attach(&task, p->w->m, 1))
		abort();
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned i = step * 7 % PAGES;

		p->mistakes += gw_cpu_load(p->mm, p->addr + i * PAGE, &found) || found != value[i];
		value[i] = step;
		p->mistakes += gw_cpu_store(p->mm, p->addr + i * PAGE, step) != 0;
	}
	gw_task_detach(&task);
	gw_u32_store_release(&p->done, 1);
	return NULL;
}

/* I5: a program whose memory is bound to node after node loses no word. */
static void
program_runs_meanwhile(void **state)
{
	struct nodes *w = *state;
	struct program p = {.w = w, .mm = new_space(&w->s)};
	pthread_t thread;

	p.addr = map(p.mm, PAGES);
	assert_int_equal(pthread_create(&thread, NULL, run_program, &p), 0);
	for (unsigned node = 0; !gw_u32_load_acquire(&p.done); node = (node + 1) % NODES) {
		assert_int_equal(bind_with(p.mm, p.addr, PAGES,
					 policy(GW_POLICY_BIND, SET(node, (node + 1) % NODES)),
					 GW_MBIND_MOVE),
			0);
		assert_int_equal(bind_with(p.mm, p.addr + PAGE, PAGES / 2,
					 policy(GW_POLICY_INTERLEAVE, 15), GW_MBIND_MOVE_ALL),
			0);
	}
	pthread_join(thread, NULL);
	assert_int_equal(p.mistakes, 0);
	gw_mm_put(p.mm);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(local_is_where_the_cpu_is),
		T(bind_never_falls_back),
		T(preferred_falls_back_by_distance),
		T(preferred_many_falls_back_to_the_cpu),
		T(interleave_goes_by_offset),
		T(weights_are_pages_in_a_row),
		T(tasks_have_policies),
		T(every_fault_asks_the_policy),
		T(policies_stay_with_their_memory),
		T(mbind_moves),
		T(mbind_moves_large_pages),
		T(mbind_is_strict),
		T(mbind_refuses),
		T(some_memory_is_not_migratable),
		T(mbind_survives_failed_allocations),
		T(program_runs_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
