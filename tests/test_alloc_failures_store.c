/* SPDX-License-Identifier: MIT */
/*
 * test_alloc_failures_store.c - scripts over files, swap, memory control groups and moves between
 * nodes, run again and again while one request for memory after the other is refused, of the
 * engine's own or of a frame. Whatever is refused says -ENOMEM and can be done again, no byte is
 * lost, every invariant stands (mm.h V1 to V3, file.h F1 to F3, memcg.h J1, J2), and all memory is
 * given back.
 */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "engine/store/store.h"
#include "godwit/compact.h"
#include "refusal_fixture.h"

#define FILE_PAGES 100000
#define FAR	   10000 /* pages: as far from others as needs other nodes of the cache's tree */
#define PAGES	   12
#define HEAP	   ((gw_vaddr_t)1 << 39)

static struct gw_mapping *
new_file(struct spaces *s)
{
	struct gw_mapping *file;
	void *ctx;

	assert_int_equal(gw_soft_ram_backing(FILE_PAGES, &ctx), 0);
	assert_int_equal(gw_mapping_create(s->m, &gw_soft_ram_ops, ctx, FILE_PAGES, 0, &file), 0);
	return file;
}

static gw_vaddr_t
map_file_at(struct trial *t, struct gw_mapping *file, unsigned flags, uint64_t pgoff)
{
	gw_vaddr_t addr;

	assert_int_equal(
		gw_mmap_file(t->mm, 0, PAGES * PAGE, READWRITE, flags, file, pgoff, &addr), 0);
	return addr;
}

static void
fill(struct trial *t, gw_vaddr_t addr, unsigned pages)
{
	for (unsigned i = 0; i < pages; i++)
		assert_int_equal(trial_store(t, addr + i * PAGE, addr / PAGE + i), 0);
	gw_lru_add_drain_all(t->s->m);
}

/* A child sees every word, writes one, and goes. */
static int
fork_and_write(struct trial *t)
{
	struct gw_mm *child;
	int err = gw_mm_fork(t->mm, &child);

	if (err)
		return err;
	err = trial_load_all(t, child);
	if (!err)
		err = gw_cpu_store(child, t->at[0], t->value[0]);
	gw_mm_put(child);
	return err;
}

static int
compact(struct trial *t)
{
	gw_compact_all_zones(t->s->m);
	return 0;
}

static int
load_all(struct trial *t)
{
	return trial_load_all(t, t->mm);
}

/* There and back: every page of a word. */
static int
move_all(struct trial *t)
{
	int err = trial_move_all(t, t->mm, 1);

	return err ? err : trial_move_all(t, t->mm, 0);
}

/* ---- files ---- */

struct files {
	struct gw_mapping *file;
	gw_vaddr_t shared, private; /* PAGES of the file each, in part not in memory yet */
};

static void
begin_files(struct trial *t)
{
	struct files *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	t->own = f;
	f->file = new_file(t->s);
	f->shared = map_file_at(t, f->file, GW_MAP_SHARED, 0);
	f->private = map_file_at(t, f->file, 0, PAGES);
	fill(t, f->shared, PAGES / 2);
	fill(t, f->private, PAGES / 2);
	map(t->mm, GW_PTES_PER_TABLE); /* what grows moves to another table */
}

static void
end_files(struct trial *t)
{
	struct files *f = t->own;

	gw_mapping_put(f->file);
	free(f);
}

static int
make_a_file(struct trial *t)
{
	struct gw_mapping *file;
	uint64_t word = 1;
	void *ctx;
	int err;

	assert_int_equal(gw_soft_ram_backing(FAR + 1, &ctx), 0);
	err = gw_mapping_create(t->s->m, &gw_soft_ram_ops, ctx, FAR + 1, 0, &file);
	if (err) {
		gw_soft_ram_ops.release(ctx);
		return err;
	}
	err = gw_mapping_read(file, FAR * PAGE, &word, sizeof(word));
	assert_true(err || word == 0);
	gw_mapping_put(file);
	return err;
}

static int
map_and_touch(struct trial *t)
{
	struct files *f = t->own;
	gw_vaddr_t addr;
	uint64_t word;
	int err =
		gw_mmap_file(t->mm, 0, PAGES * PAGE, READWRITE, GW_MAP_SHARED, f->file, FAR, &addr);

	if (err)
		return err;
	err = gw_cpu_load(t->mm, addr, &word);
	assert_int_equal(gw_munmap(t->mm, addr, PAGES * PAGE), 0);
	return err;
}

static int
write_shared(struct trial *t)
{
	return trial_store(t, ((struct files *)t->own)->shared + (PAGES - 1) * PAGE, 5);
}

static int
write_private(struct trial *t)
{
	return trial_store(t, ((struct files *)t->own)->private + (PAGES - 1) * PAGE, 6);
}

/* Through the cache, of a part of a page and of a whole one; nobody reads what has failed. */
static int
write_through(struct trial *t)
{
	struct gw_mapping *file = ((struct files *)t->own)->file;
	uint8_t page[PAGE];
	int err = gw_mapping_write(file, 2 * FAR * PAGE + 8, "12345678", 8);

	memset(page, 7, PAGE);
	if (!err)
		err = gw_mapping_write(file, 3 * FAR * PAGE, page, PAGE);
	return err;
}

static int
read_through(struct trial *t)
{
	struct gw_mapping *file = ((struct files *)t->own)->file;
	uint8_t bytes[PAGE], want[PAGE];
	int err = gw_mapping_read(file, 2 * FAR * PAGE, bytes, 16);

	if (!err)
		assert_memory_equal(bytes, "\0\0\0\0\0\0\0\00012345678", 16);
	if (!err)
		err = gw_mapping_read(file, 3 * FAR * PAGE, bytes, PAGE);
	memset(want, 7, PAGE);
	if (!err)
		assert_memory_equal(bytes, want, PAGE);
	if (!err) /* a page that was read never */
		err = gw_mapping_read(file, 4 * FAR * PAGE, bytes, 1);
	return err;
}

static bool
let_go(struct gw_private *data, struct gw_machine *m, gw_pfn_t page)
{
	(void)data;
	(void)m;
	(void)page;
	return true;
}

static int
private_data(struct trial *t)
{
	static struct gw_private data = {.release = let_go};
	struct gw_machine *m = t->s->m;
	gw_pfn_t page = gw_mapping_find(((struct files *)t->own)->file, 0);
	int err;

	assert_int_not_equal(page, GW_PFN_NONE);
	gw_page_lock(m, page);
	err = gw_page_set_private(m, page, &data);
	assert_true(gw_page_release_private(m, page));
	gw_page_unlock(m, page);
	gw_put_page(m, page);
	return err;
}

static int
protect_a_part(struct trial *t)
{
	struct files *f = t->own;

	return gw_mprotect(t->mm, f->private + PAGE, PAGE, GW_PROT_READ);
}

static int
unmap_a_part(struct trial *t)
{
	struct files *f = t->own;
	gw_vaddr_t addr = f->shared + 2 * PAGE;
	int err = gw_munmap(t->mm, addr, PAGE);

	if (!err)
		trial_forget(t, addr, PAGE);
	return err;
}

static int
grow_private(struct trial *t)
{
	struct files *f = t->own;
	gw_vaddr_t to, from = f->private + 2 * PAGE;
	uint64_t pages = PAGES - 2;
	int err = gw_mremap(t->mm, from, pages * PAGE, 600 * PAGE, &to);

	if (err)
		return err;
	trial_moved(t, from, to, pages * PAGE);
	return 0;
}

static int
lock_a_part(struct trial *t)
{
	struct files *f = t->own;
	gw_vaddr_t addr = f->shared + (PAGES - 4) * PAGE;
	int err = gw_mlock(t->mm, addr, PAGE, true);

	return err ? err : gw_mlock(t->mm, addr, PAGE, false);
}

static int
sync_and_reclaim(struct trial *t)
{
	int err = gw_mapping_sync(((struct files *)t->own)->file);

	trial_reclaim(t);
	return err;
}

static int
truncate_and_extend(struct trial *t)
{
	struct files *f = t->own;
	uint64_t word;

	/* The private mapping's pages begin there, and go, too. */
	assert_int_equal(gw_mapping_truncate(f->file, PAGES - 3), 0);
	trial_forget(t, 0, GW_VADDR_END);
	for (unsigned i = 0; i < PAGES / 2; i++)
		if (i != 2)
			trial_expect(t, f->shared + i * PAGE, f->shared / PAGE + i);
	assert_int_equal(gw_cpu_load(t->mm, f->shared + (PAGES - 1) * PAGE, &word), -EFAULT);
	assert_int_equal(gw_mapping_truncate(f->file, FILE_PAGES), 0);
	trial_expect(t, f->shared + (PAGES - 1) * PAGE, 0);
	return trial_load_all(t, t->mm);
}

static void
files(void **state)
{
	static const struct trial_step steps[] = {
		{"make_a_file", make_a_file, OWN | FRAMES},
		{"write_shared", write_shared, FRAMES},
		{"write_private", write_private, FRAMES},
		{"grow_private", grow_private, OWN | FRAMES},
		{"map_and_touch", map_and_touch, OWN | FRAMES},
		{"write_through", write_through, OWN | FRAMES},
		{"read_through", read_through, OWN | FRAMES},
		{"private_data", private_data, OWN},
		{"fork_and_write", fork_and_write, OWN | FRAMES},
		{"protect_a_part", protect_a_part, OWN},
		{"unmap_a_part", unmap_a_part, OWN},
		{"lock_a_part", lock_a_part, OWN | FRAMES},
		{"move_all", move_all, FRAMES},
		{"compact", compact, 0},
		{"sync_and_reclaim", sync_and_reclaim, 0},
		{"load_all", load_all, FRAMES},
		{"truncate_and_extend", truncate_and_extend, FRAMES},
	};
	static const struct trial_script script = {.begin = begin_files,
		.end = end_files,
		.steps = steps,
		.n_steps = sizeof(steps) / sizeof(steps[0])};

	(void)state;
	refuse_each(&script);
}

/* ---- swap ---- */

#define SLOTS 1024

static void
begin_swap(struct trial *t)
{
	fill(t, map(t->mm, PAGES), PAGES);
	map(t->mm, GW_PTES_PER_TABLE);
}

static int
swap_on(struct trial *t)
{
	void *ctx;
	int err;

	assert_int_equal(gw_soft_ram_backing(SLOTS, &ctx), 0);
	err = gw_swap_on(t->s->m, &gw_soft_ram_ops, ctx, SLOTS);
	if (err)
		gw_soft_ram_ops.release(ctx);
	return err;
}

static void
end_swap(struct trial *t)
{
	struct gw_swap_info info;

	gw_swap_info(t->s->m, &info);
	assert_int_equal(info.used, 0);
	assert_int_equal(gw_swap_off(t->s->m), 0);
}

/* What is refused to reclaim leaves the page where it is. */
static int
reclaim(struct trial *t)
{
	trial_reclaim(t);
	return 0;
}

static int
page_out(struct trial *t)
{
	gw_lru_add_drain_all(t->s->m);
	for (unsigned i = 0; i < t->n; i++)
		assert_int_equal(gw_madvise(t->mm, t->at[i], PAGE, GW_MADV_PAGEOUT), 0);
	return 0;
}

static int
write_all(struct trial *t)
{
	int err = 0;

	for (unsigned i = 0; i < t->n && !err; i++)
		err = trial_store(t, t->at[i], t->value[i] + 1000);
	return err;
}

/* The pages that a child reads stay in the swap cache, since the parent's entries name their
 * slots; these are moved, with and without an entry. */
static int
move_swap_cache(struct trial *t)
{
	struct gw_mm *child;
	int err;

	(void)page_out(t);
	err = gw_mm_fork(t->mm, &child);
	if (err)
		return err;
	err = trial_load_all(t, child);
	if (!err)
		err = trial_move_all(t, child, 1);
	if (!err)
		err = trial_load_all(t, child);
	gw_mm_put(child);
	return err ? err : trial_load_all(t, t->mm);
}

static int
lock_swapped(struct trial *t)
{
	int err = gw_mlock(t->mm, t->at[0], PAGE, false); /* the try before may have locked it */

	if (err)
		return err;
	(void)page_out(t);
	err = gw_mlock(t->mm, t->at[0], PAGE, true);
	return err ? err : gw_mlock(t->mm, t->at[0], PAGE, false);
}

static int
move_swapped(struct trial *t)
{
	gw_vaddr_t from = t->at[4], to;
	int err;

	(void)page_out(t);
	err = gw_mremap(t->mm, from, 2 * PAGE, 600 * PAGE, &to);
	if (!err)
		trial_moved(t, from, to, 2 * PAGE);
	return err;
}

static int
unmap_swapped(struct trial *t)
{
	gw_vaddr_t addr = t->at[9];
	int err;

	(void)page_out(t);
	err = gw_munmap(t->mm, addr, PAGE);
	if (!err)
		trial_forget(t, addr, PAGE);
	return err;
}

static void
swap(void **state)
{
	static const struct trial_step steps[] = {
		{"reclaim without swap", reclaim, 0},
		{"swap_on", swap_on, OWN},
		{"reclaim", reclaim, 0},
		{"load_all", load_all, OWN | FRAMES},
		{"page_out", page_out, 0},
		{"write_all", write_all, OWN | FRAMES},
		{"page_out again", page_out, 0},
		{"fork_and_write", fork_and_write, OWN | FRAMES},
		{"move_swap_cache", move_swap_cache, OWN | FRAMES},
		{"compact", compact, 0},
		{"lock_swapped", lock_swapped, OWN | FRAMES},
		{"move_swapped", move_swapped, OWN | FRAMES},
		{"unmap_swapped", unmap_swapped, OWN},
		{"load_all again", load_all, OWN | FRAMES},
		{"move_all", move_all, FRAMES},
	};
	static const struct trial_script script = {.begin = begin_swap,
		.end = end_swap,
		.steps = steps,
		.n_steps = sizeof(steps) / sizeof(steps[0])};

	(void)state;
	refuse_each(&script);
}

/* ---- memory control groups ---- */

struct groups {
	struct gw_memcg *memcg;
	struct gw_mapping *file;
	gw_vaddr_t anon, shared;
};

static void
begin_groups(struct trial *t)
{
	struct groups *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	t->own = g;
	g->file = new_file(t->s);
	g->anon = map(t->mm, PAGES);
	g->shared = map_file_at(t, g->file, GW_MAP_SHARED, 0);
}

static void
end_groups(struct trial *t)
{
	struct groups *g = t->own;

	gw_mapping_put(g->file);
	assert_int_equal(gw_memcg_usage(g->memcg), 0);
	gw_memcg_put(g->memcg);
	free(g);
	if (gw_swap_cache(t->s->m))
		end_swap(t);
}

static int
make_group(struct trial *t)
{
	struct groups *g = t->own;
	int err = gw_memcg_create(t->s->m, UINT64_MAX, &g->memcg);

	if (!err)
		gw_mm_set_memcg(t->mm, g->memcg);
	return err;
}

static int
touch(struct trial *t, gw_vaddr_t addr)
{
	int err = 0;

	for (unsigned i = 0; i < PAGES && !err; i++)
		err = trial_store(t, addr + i * PAGE, addr / PAGE + i);
	return err;
}

static int
charge(struct trial *t)
{
	struct groups *g = t->own;
	int err = touch(t, g->shared); /* the first charge: the side table is made */

	if (!err)
		err = touch(t, g->anon);
	if (!err) /* not tables */
		assert_int_equal(gw_memcg_usage(g->memcg), 2 * PAGES);
	return err;
}

static int
move_charged(struct trial *t)
{
	struct groups *g = t->own;
	uint64_t before = gw_memcg_usage(g->memcg);
	int err = move_all(t);

	assert_int_equal(gw_memcg_usage(g->memcg), before); /* A9 */
	return err;
}

/* Below what it uses: the group's pages make room for each other, in the file and in swap. */
static int
lower_limit(struct trial *t)
{
	struct groups *g = t->own;
	int err;

	gw_lru_add_drain_all(t->s->m);
	gw_memcg_set_limit(g->memcg, PAGES);
	err = trial_load_all(t, t->mm);
	gw_memcg_set_limit(g->memcg, UINT64_MAX);
	return err;
}

static int
reclaim_group(struct trial *t)
{
	struct groups *g = t->own;

	gw_lru_add_drain_all(t->s->m);
	for (unsigned node = 0; node < TRIAL_NODES; node++)
		(void)gw_reclaim(t->s->m, node, g->memcg, 2 * PAGES);
	return 0;
}

/* Nothing may come back: a page that was brought for nothing is given up. */
static int
over_limit(struct trial *t)
{
	struct groups *g = t->own;
	uint64_t word;

	(void)reclaim_group(t);
	gw_memcg_set_limit(g->memcg, 0);
	for (unsigned i = 0; i < t->n; i++) {
		int err = gw_cpu_load(t->mm, t->at[i], &word);

		assert_true(err == -ENOMEM ||
			    gw_pte_kind(entry_of(t->mm, t->at[i])) == GW_PTE_IS_PRESENT);
	}
	gw_memcg_set_limit(g->memcg, UINT64_MAX);
	return trial_load_all(t, t->mm);
}

static int
another_group(struct trial *t)
{
	struct gw_memcg *other;
	int err = gw_memcg_create(t->s->m, 4, &other);

	if (!err)
		gw_memcg_put(other);
	return err;
}

static void
groups(void **state)
{
	static const struct trial_step steps[] = {
		{"make_group", make_group, OWN},
		{"charge", charge, OWN | FRAMES},
		{"move_charged", move_charged, FRAMES},
		{"swap_on", swap_on, OWN},
		{"reclaim_group", reclaim_group, 0},
		{"lower_limit", lower_limit, OWN | FRAMES},
		{"reclaim_group again", reclaim_group, 0},
		{"over_limit", over_limit, OWN | FRAMES},
		{"fork_and_write", fork_and_write, OWN | FRAMES},
		{"another_group", another_group, OWN},
		{"compact", compact, 0},
	};
	static const struct trial_script script = {.begin = begin_groups,
		.end = end_groups,
		.steps = steps,
		.n_steps = sizeof(steps) / sizeof(steps[0])};

	(void)state;
	refuse_each(&script);
}

/* ---- between nodes ---- */

static void
begin_nodes(struct trial *t)
{
	gw_vaddr_t end;

	begin_files(t);
	fill(t, map(t->mm, PAGES), PAGES);
	assert_int_equal(gw_brk(t->mm, HEAP, &end), 0);
}

static int
grow_heap(struct trial *t)
{
	gw_vaddr_t end;
	int err = gw_brk(t->mm, HEAP + 2 * PAGE, &end);

	assert_int_equal(end, HEAP + (err ? 0 : 2 * PAGE));
	return err ? err : trial_store(t, HEAP + PAGE, 9);
}

static int
lock_all(struct trial *t)
{
	int err = 0;

	for (unsigned i = 0; i < t->n && !err; i++)
		err = gw_mlock(t->mm, t->at[i], PAGE, true);
	return err;
}

static int
migrate_mm(struct trial *t)
{
	int left;

	gw_lru_add_drain_all(t->s->m);
	left = gw_migrate_mm(t->mm, 1, 2);
	assert_true(left >= 0);
	return left ? -ENOMEM : gw_migrate_mm(t->mm, 2, 1) ? -ENOMEM : 0;
}

/* Pages of two address spaces, by one of them. */
static int
migrate_shared(struct trial *t)
{
	struct gw_mm *child;
	int err = gw_mm_fork(t->mm, &child);

	if (err)
		return err;
	err = trial_move_all(t, child, 1);
	if (!err)
		err = trial_load_all(t, child);
	gw_mm_put(child);
	return err ? err : trial_move_all(t, t->mm, 0);
}

static void
nodes(void **state)
{
	static const struct trial_step steps[] = {
		{"grow_heap", grow_heap, OWN | FRAMES},
		{"move_all", move_all, FRAMES},
		{"migrate_mm", migrate_mm, FRAMES},
		{"migrate_shared", migrate_shared, OWN | FRAMES},
		{"lock_all", lock_all, OWN},
		{"move_all, locked", move_all, FRAMES},
		{"migrate_mm, locked", migrate_mm, FRAMES},
		{"compact", compact, 0},
	};
	static const struct trial_script script = {.begin = begin_nodes,
		.end = end_files,
		.steps = steps,
		.n_steps = sizeof(steps) / sizeof(steps[0])};

	(void)state;
	refuse_each(&script);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files),
		cmocka_unit_test(swap),
		cmocka_unit_test(groups),
		cmocka_unit_test(nodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
