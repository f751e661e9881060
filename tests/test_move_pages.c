/* SPDX-License-Identifier: MIT */
/*
 * test_move_pages.c - moving pages of an address space to nodes (FACTS 2.3).
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>

#include "file_fixture.h"
#include "godwit/swap.h"

#define FRAMES 1024 /* of each node */
#define NODES  4
#define STEPS  40000
#define PAGES  600 /* more than two batches */

static int
setup(void **state)
{
	*state = spaces_of(3, NODES, FRAMES);
	return 0;
}

static int
node_at(struct gw_mm *mm, gw_vaddr_t addr)
{
	int node;

	assert_int_equal(gw_move_pages(mm, 1, &addr, NULL, &node, 0), 0);
	return node;
}

/* The status of moving one page. */
static int
move_to(struct gw_mm *mm, gw_vaddr_t addr, int node, unsigned flags)
{
	int status = 12345;
	int n = gw_move_pages(mm, 1, &addr, &node, &status, flags);

	assert_int_equal(n, status != node);
	return status;
}

/* FACTS 2.3: every page goes to its own node, its status says so, and its bytes are there; pages of
 * all CPUs' LRU batches too. */
static void
each_page_to_its_node(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map(mm, PAGES);
	uint64_t *addrs = calloc(PAGES, sizeof(*addrs));
	int *nodes = calloc(PAGES, sizeof(*nodes)), *status = calloc(PAGES, sizeof(*status));

	for (unsigned i = 0; i < PAGES; i++) {
		addrs[i] = addr + i * PAGE + i; /* anywhere in the page */
		nodes[i] = i < PAGES / 2 ? 1 : (int)(i % NODES);
		assert_int_equal(try_poke(s, i % 2, mm, addr + i * PAGE, i), 0);
	}
	assert_int_equal(gw_move_pages(mm, PAGES, addrs, nodes, status, 0), 0);
	for (unsigned i = 0; i < PAGES; i++) {
		assert_int_equal(status[i], nodes[i]);
		assert_int_equal(page_of(mm, addr + i * PAGE) / FRAMES, (unsigned)nodes[i]);
		assert_int_equal(peek(mm, addr + i * PAGE), i);
	}
	assert_int_equal(gw_move_pages(mm, PAGES, addrs, NULL, status, 0), 0);
	for (unsigned i = 0; i < PAGES; i++)
		assert_int_equal(status[i], nodes[i]);
	free(addrs);
	free(nodes);
	free(status);
	gw_mm_put(mm);
}

/* The documented statuses, asked for and moved. */
static void
statuses(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s), *child;
	gw_vaddr_t addr = map(mm, 8);
	int status;

	poke(mm, addr, 7);
	(void)peek(mm, addr + PAGE); /* the zero page */
	assert_int_equal(move_to(mm, addr, 2, 0), 2);
	assert_int_equal(move_to(mm, addr + PAGE, 2, 0), -EFAULT);
	assert_int_equal(node_at(mm, addr + PAGE), -EFAULT);
	assert_int_equal(move_to(mm, addr + 2 * PAGE, 2, 0), -ENOENT);
	assert_int_equal(node_at(mm, addr + 2 * PAGE), -ENOENT);
	assert_int_equal(move_to(mm, addr + 8 * PAGE, 2, 0), -EFAULT);
	assert_int_equal(node_at(mm, addr + 8 * PAGE), -EFAULT);
	assert_int_equal(node_at(mm, UINT64_MAX), -EFAULT);
	assert_int_equal(move_to(mm, addr, NODES, 0), -ENODEV);
	assert_int_equal(move_to(mm, addr, -1, 0), -ENODEV);
	child = fork_space(mm);
	assert_int_equal(move_to(mm, addr, 1, 0), -EACCES);
	assert_int_equal(node_at(mm, addr), 2);
	assert_int_equal(move_to(mm, addr, 1, GW_MOVE_ALL), 1);
	assert_int_equal(node_at(child, addr), 1);
	gw_mm_put(child);
	assert_int_equal(gw_move_pages(mm, 1, &addr, NULL, &status, 2), -EINVAL);
	assert_int_equal(gw_move_pages(mm, 1, NULL, NULL, &status, 0), -EINVAL);
	assert_int_equal(gw_move_pages(mm, 0, NULL, NULL, NULL, 0), 0);
	gw_mm_put(mm);
}

/* -EBUSY: it cannot be isolated. -EAGAIN: it is in use, and stays as it was. */
static void
busy_pages(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map(mm, 1);
	gw_pfn_t page;

	poke(mm, addr, 7);
	gw_lru_add_drain_all(s->m);
	page = page_of(mm, addr);
	assert_int_equal(gw_lru_isolate(s->m, page, GW_ISOLATE_BOTH), 0);
	assert_int_equal(move_to(mm, addr, 1, 0), -EBUSY);
	gw_lru_putback(s->m, page); /* the reference is a pin from now on */
	assert_int_equal(move_to(mm, addr, 1, 0), -EAGAIN);
	assert_int_equal(page_of(mm, addr), page);
	gw_put_page(s->m, page);
	assert_int_equal(move_to(mm, addr, 1, 0), 1);
	assert_int_equal(peek(mm, addr), 7);
	gw_mm_put(mm);
}

/* A page that two of the addresses map, or one of them twice, is moved once and is where both want
 * it; where they do not agree, the last one wins. */
static void
one_page_twice(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t first = 0, second = 0;
	uint64_t addrs[4];
	int nodes[4] = {1, 1, 1, 2}, status[4];

	assert_int_equal(gw_mmap_file(mm, 0, PAGE, READWRITE, GW_MAP_SHARED, file, 3, &first), 0);
	assert_int_equal(gw_mmap_file(mm, 0, PAGE, READWRITE, GW_MAP_SHARED, file, 3, &second), 0);
	poke(mm, first, 8);
	assert_int_equal(peek(mm, second), 8);
	addrs[0] = addrs[1] = first;
	addrs[2] = addrs[3] = second;
	assert_int_equal(gw_move_pages(mm, 3, addrs, nodes, status, GW_MOVE_ALL), 0);
	assert_int_equal(node_at(mm, first), 1);
	assert_int_equal(gw_move_pages(mm, 4, addrs, nodes, status, GW_MOVE_ALL), 0);
	assert_int_equal(node_at(mm, first), 2);
	assert_int_equal(peek(mm, first), 8);
	gw_mm_put(mm);
	file_put(file);
	store_destroy(store);
}

/* -EFAULT: what is never moved. -ENOENT: what is in swap. */
static void
other_kinds(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mm *mm = new_space(s);
	struct gw_mapping *file;
	gw_vaddr_t addr = 0, anon = map(mm, 1);
	void *ctx;

	assert_int_equal(gw_mapping_create(
				 s->m, &store_ops, store, STORE_PAGES, GW_MAPPING_UNMOVABLE, &file),
		0);
	assert_int_equal(gw_mmap_file(mm, 0, PAGE, READWRITE, GW_MAP_SHARED, file, 3, &addr), 0);
	poke(mm, addr, 8);
	assert_int_equal(node_at(mm, addr), 0);
	assert_int_equal(move_to(mm, addr, 1, GW_MOVE_ALL), -EFAULT);
	assert_int_equal(gw_soft_ram_backing(16, &ctx), 0);
	assert_int_equal(gw_swap_on(s->m, &gw_soft_ram_ops, ctx, 16), 0);
	poke(mm, anon, 9);
	assert_int_equal(gw_madvise(mm, anon, PAGE, GW_MADV_PAGEOUT), 0);
	assert_int_equal(move_to(mm, anon, 1, 0), -ENOENT);
	assert_int_equal(peek(mm, anon), 9);
	gw_mm_put(mm);
	assert_int_equal(gw_swap_off(s->m), 0);
	file_put(file);
	store_destroy(store);
}

/* -ENOMEM: the wanted node is full; nothing is taken from another. */
static void
full_node(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map(mm, 1);
	gw_pfn_t pages[FRAMES];
	unsigned n = 0;

	poke(mm, addr, 7);
	while (n < FRAMES &&
		gw_alloc_pages(s->m, GW_GFP_MOVABLE | GW_GFP_THISNODE, 1, 0, &pages[n]) == 0)
		n++;
	assert_int_equal(n, FRAMES);
	assert_int_equal(move_to(mm, addr, 1, 0), -ENOMEM);
	assert_int_equal(node_at(mm, addr), 0);
	while (n > 0)
		gw_put_page(s->m, pages[--n]);
	assert_int_equal(move_to(mm, addr, 1, 0), 1);
	assert_int_equal(peek(mm, addr), 7);
	gw_mm_put(mm);
}

/* R9: an address whose page is on its way is waited for, not taken for empty. */
struct wait {
	struct spaces *s;
	struct gw_mm *mm;
	gw_vaddr_t addr;
	gw_atomic_u32 started;
	int status;
};

static void *
move_later(void *arg)
{
	struct wait *w = arg;
	struct gw_task task;

	if (gw_task_attach(&task, w->s->m, 1))
		abort();
	gw_u32_store_release(&w->started, 1);
	w->status = move_to(w->mm, w->addr, 3, 0);
	gw_task_detach(&task);
	return NULL;
}

static void
migration_entries_are_waited_for(void **state)
{
	struct spaces *s = *state;
	struct wait w = {.s = s, .mm = new_space(s)};
	struct gw_anon_vma *anon_vma;
	pthread_t thread;
	gw_pfn_t page;

	w.addr = map(w.mm, 1);
	poke(w.mm, w.addr, 7);
	gw_lru_add_drain_all(s->m);
	page = page_of(w.mm, w.addr);
	anon_vma = freeze_entries(s, page);
	assert_int_equal(pthread_create(&thread, NULL, move_later, &w), 0);
	while (!gw_u32_load_acquire(&w.started))
		gw_relax();
	for (unsigned i = 0; i < 1000; i++)
		gw_relax();
	thaw_entries(s, page, anon_vma);
	pthread_join(thread, NULL);
	assert_int_equal(w.status, 3);
	assert_int_equal(peek(w.mm, w.addr), 7);
	gw_mm_put(w.mm);
}

/* ---- migrate_pages(2) ---- */

/* Pages at [first, first + n) of addr go to a node. */
static void
place(struct gw_mm *mm, gw_vaddr_t addr, unsigned first, unsigned n, int node)
{
	for (unsigned i = first; i < first + n; i++)
		assert_int_equal(move_to(mm, addr + i * PAGE, node, 0), node);
}

static void
assert_placed(struct gw_mm *mm, gw_vaddr_t addr, unsigned first, unsigned n, int node)
{
	for (unsigned i = first; i < first + n; i++) {
		assert_int_equal(node_at(mm, addr + i * PAGE), node);
		assert_int_equal(peek(mm, addr + i * PAGE), i);
	}
}

static gw_vaddr_t
on_all_nodes(struct gw_mm *mm)
{
	gw_vaddr_t addr = map(mm, 4 * 10);

	for (unsigned i = 0; i < 40; i++)
		poke(mm, addr + i * PAGE, i);
	for (unsigned node = 0; node < NODES; node++)
		place(mm, addr, 10 * node, 10, (int)node);
	return addr;
}

/* The nth node of the one set to the nth of the other; nodes in both, or in neither, stay. */
static void
node_sets(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = on_all_nodes(mm);

	assert_int_equal(gw_migrate_mm(mm, 1u << 0 | 1u << 1, 1u << 2 | 1u << 3), 0);
	assert_placed(mm, addr, 0, 10, 2);
	assert_placed(mm, addr, 10, 10, 3);
	assert_placed(mm, addr, 20, 10, 2);
	assert_placed(mm, addr, 30, 10, 3);
	assert_int_equal(gw_migrate_mm(mm, 1u << 2 | 1u << 3, 1u << 1), 0);
	assert_placed(mm, addr, 0, 40, 1);
	assert_int_equal(gw_migrate_mm(mm, 1u << 0 | 1u << 1, 1u << 1 | 1u << 2), 0);
	assert_placed(mm, addr, 0, 40, 1);
	assert_int_equal(gw_migrate_mm(mm, 1u << 0 | 1u << 1, 1u << 3), 0);
	assert_placed(mm, addr, 0, 40, 3);
	assert_int_equal(gw_migrate_mm(mm, 0, 1), -EINVAL);
	assert_int_equal(gw_migrate_mm(mm, 1, 0), -EINVAL);
	assert_int_equal(gw_migrate_mm(mm, 1, 1u << NODES), -EINVAL);
	assert_int_equal(gw_migrate_mm(mm, (uint64_t)1 << 63, 1), -EINVAL);
	gw_mm_put(mm);
}

/* All kinds of pages, far apart; what cannot move is counted, and is where it was. */
static void
all_of_an_address_space(void **state)
{
	struct spaces *s = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(s, store);
	struct gw_mm *mm = new_space(s), *child;
	gw_vaddr_t addr = map(mm, 3), mapped = 0, far = (gw_vaddr_t)1 << 40;
	gw_pfn_t pinned;

	map_at(mm, far, 2 * GW_PTES_PER_TABLE);
	assert_int_equal(
		gw_mmap_file(mm, 0, 4 * PAGE, READWRITE, GW_MAP_SHARED, file, 0, &mapped), 0);
	poke(mm, addr, 1);
	(void)peek(mm, addr + PAGE);
	poke(mm, far + 700 * PAGE, 2);
	poke(mm, mapped + 2 * PAGE, 3);
	child = fork_space(mm);
	pinned = page_of(mm, far + 700 * PAGE);
	gw_get_page(s->m, pinned);
	assert_int_equal(gw_migrate_mm(mm, 1, 2), 1);
	gw_put_page(s->m, pinned);
	assert_int_equal(node_at(mm, addr), 1);
	assert_int_equal(node_at(child, addr), 1);
	assert_int_equal(node_at(mm, mapped + 2 * PAGE), 1);
	assert_int_equal(page_of(mm, far + 700 * PAGE), pinned);
	assert_int_equal(gw_migrate_mm(mm, 1, 2), 0);
	assert_int_equal(node_at(mm, far + 700 * PAGE), 1);
	assert_int_equal(peek(mm, addr), 1);
	assert_int_equal(peek(child, far + 700 * PAGE), 2);
	assert_int_equal(peek(mm, mapped + 2 * PAGE), 3);
	gw_mm_put(mm);
	gw_mm_put(child);
	file_put(file);
	store_destroy(store);
}

/* ---- threads ---- */

struct program {
	struct spaces *s;
	struct gw_mm *mm;
	gw_vaddr_t addr;
	gw_atomic_u32 done, moved;
	unsigned mistakes;
};

/* Write all pages, check all pages; give one up now and then. */
static void *
run_program(void *arg)
{
	struct program *p = arg;
	uint64_t value[64] = {0}, found;
	struct gw_task task;

	if (gw_task_attach(&task, p->s->m, 1))
		abort();
	/* A busy machine may give the mover little time at first: not without any moves. */
	for (unsigned step = 0;
		step < STEPS || (step < 100 * STEPS && gw_u32_load_relaxed(&p->moved) < 100);
		step++) {
		unsigned i = step * 7 % 64;
		gw_vaddr_t addr = p->addr + i * PAGE;

		p->mistakes += gw_cpu_load(p->mm, addr, &found) || found != value[i];
		value[i] = step;
		p->mistakes += gw_cpu_store(p->mm, addr, value[i]) != 0;
		if (step % 64 == 0) {
			p->mistakes += gw_madvise(p->mm, addr, PAGE, GW_MADV_DONTNEED) != 0;
			value[i] = 0;
		}
	}
	gw_task_detach(&task);
	gw_u32_store_release(&p->done, 1);
	return NULL;
}

/* N1, I1 to I5: a program that runs while its pages are sent from node to node loses no word; and
 * what the calls say of pages is something that can be. */
static void
program_runs_meanwhile(void **state)
{
	struct spaces *s = *state;
	struct program p = {.s = s, .mm = new_space(s)};
	uint64_t addrs[64];
	int nodes[64], status[64];
	pthread_t thread;

	p.addr = map(p.mm, 64);
	assert_int_equal(pthread_create(&thread, NULL, run_program, &p), 0);
	for (int node = 0; !gw_u32_load_acquire(&p.done); node = (node + 1) % NODES) {
		for (unsigned i = 0; i < 64; i++) {
			addrs[i] = p.addr + i * PAGE;
			nodes[i] = node;
		}
		assert_in_range(gw_move_pages(p.mm, 64, addrs, nodes, status, 0), 0, 64);
		for (unsigned i = 0; i < 64; i++) {
			gw_u32_add_relaxed(&p.moved, status[i] == node);
			assert_true(status[i] == node || status[i] == -ENOENT ||
				    status[i] == -EFAULT || status[i] == -EBUSY ||
				    status[i] == -EAGAIN);
		}
		assert_in_range(gw_migrate_mm(p.mm, 3, 12), 0, 64);
	}
	pthread_join(thread, NULL);
	assert_int_equal(p.mistakes, 0);
	assert_true(gw_u32_load_relaxed(&p.moved) > 0);
	gw_mm_put(p.mm);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, spaces_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(each_page_to_its_node),
		T(statuses),
		T(busy_pages),
		T(one_page_twice),
		T(other_kinds),
		T(full_node),
		T(migration_entries_are_waited_for),
		T(node_sets),
		T(all_of_an_address_space),
		T(program_runs_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
