/* SPDX-License-Identifier: MIT */
/*
 * test_offline.c - memory goes offline and comes back (FACTS 1.6, 2.5; C2; part 4 rows 13 and 14).
 */
#include "compact_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "godwit/contig.h"
#include "godwit/soft.h"
#include "godwit/task.h"

#define PB    4
#define BLOCK ((gw_pfn_t)1 << PB)

/* FACTS 1.6: the range's pages move away, its frames belong to no allocator, the zone manages fewer
 * and gives none of them out; online, they are all free again. */
static void
offline_and_online(void **state)
{
	struct world *w = world_create(8 * BLOCK, PB, PB + 1, 1, NULL);
	gw_pfn_t got[6 * BLOCK], n = 0;

	(void)state;
	for (gw_pfn_t b = 0; b < 8; b++)
		world_draw(w, b * BLOCK, b & 1 ? "..m.....1-..a.p." : "................");
	world_ready(w);
	assert_int_equal(gw_offline_pages(w->m, 2 * BLOCK, 4 * BLOCK, NULL), 0);
	assert_true(world_all(w, 2 * BLOCK, 2 * BLOCK, 'h'));
	assert_int_equal(fixture_zone(w->f, 0).managed, 6 * BLOCK);
	assert_int_equal(fixture_zone(w->f, 0).free + fixture_zone(w->f, 0).pcp, 6 * BLOCK - 16);
	world_check(w);
	assert_int_equal(gw_offline_pages(w->m, 2 * BLOCK, 3 * BLOCK, NULL), -EINVAL);
	while (!gw_alloc_pages(w->m, GW_GFP_MOVABLE, 0, 0, &got[n]))
		assert_false(got[n] >= 2 * BLOCK && got[n] < 4 * BLOCK), n++;
	assert_int_equal(n, 6 * BLOCK - 16);
	while (n > 0)
		gw_put_page(w->m, got[--n]);
	gw_compact_all_zones(w->m); /* passes over the hole */
	world_check(w);

	assert_int_equal(gw_online_pages(w->m, BLOCK, 3 * BLOCK), -EINVAL);
	assert_int_equal(gw_online_pages(w->m, 2 * BLOCK, 2 * BLOCK + 3), -EINVAL);
	assert_int_equal(gw_online_pages(w->m, 3 * BLOCK, 4 * BLOCK), 0);
	assert_int_equal(gw_online_pages(w->m, 2 * BLOCK, 3 * BLOCK), 0);
	assert_int_equal(gw_online_pages(w->m, 2 * BLOCK, 3 * BLOCK), -EINVAL);
	assert_int_equal(fixture_zone(w->f, 0).managed, 8 * BLOCK);
	assert_true(world_all(w, 2 * BLOCK, 2 * BLOCK, '.'));
	world_destroy(w);
}

/* A range is whole pageblocks without holes (FACTS 2.5), of any type but CMA. */
static void
what_can_be_offlined(void **state)
{
	struct world *w = world_create(8 * BLOCK, PB, PB + 1, 1, NULL);
	struct gw_obstacle why;

	(void)state;
	assert_int_equal(gw_seed_pageblock(w->m, 3 * BLOCK, GW_MT_CMA), 0);
	assert_int_equal(gw_seed_pageblock(w->m, 4 * BLOCK, GW_MT_UNMOVABLE), 0);
	world_fill(w, 0, 2 * BLOCK, '.');
	world_draw(w, 2 * BLOCK, ".......h........");
	world_fill(w, 3 * BLOCK, 5 * BLOCK, '.');
	world_ready(w);
	assert_int_equal(gw_offline_pages(w->m, 1, BLOCK, &why), -EINVAL);
	assert_int_equal(gw_offline_pages(w->m, 0, BLOCK + 1, &why), -EINVAL);
	assert_int_equal(gw_offline_pages(w->m, 7 * BLOCK, 9 * BLOCK, &why), -EINVAL);
	assert_int_equal(gw_offline_pages(w->m, BLOCK, 3 * BLOCK, &why), -EINVAL);
	assert_int_equal(why.pfn, 2 * BLOCK + 7);
	assert_int_equal(why.why, GW_WHY_RESERVED);
	assert_int_equal(gw_offline_pages(w->m, 3 * BLOCK, 4 * BLOCK, &why), -EBUSY);
	assert_int_equal(why.why, GW_WHY_CMA);
	assert_int_equal(gw_offline_pages(w->m, 4 * BLOCK, 5 * BLOCK, &why), 0);
	assert_int_equal(gw_online_pages(w->m, 4 * BLOCK, 5 * BLOCK), 0);
	assert_int_equal(gw_pageblock_type(w->m, 4 * BLOCK), GW_MT_MOVABLE);
	world_destroy(w);
}

/* Part 4 row 13: a page that cannot move ends it at once, and is named. */
static void
unmovable_page_is_named(void **state)
{
	struct world *w = world_create(4 * BLOCK, PB, PB + 1, 1, NULL);
	struct gw_obstacle why;

	(void)state;
	world_draw(w, 0, "mmm.............");
	world_draw(w, BLOCK, "............u...");
	world_fill(w, 2 * BLOCK, 2 * BLOCK, '.');
	world_ready(w);
	assert_int_equal(gw_offline_pages(w->m, 0, 2 * BLOCK, &why), -EBUSY);
	assert_int_equal(why.pfn, BLOCK + 12);
	assert_int_equal(why.why, GW_WHY_UNMOVABLE);
	assert_int_equal(w->moves, 0);
	assert_int_equal(fixture_zone(w->f, 0).pageblocks[GW_MT_ISOLATE], 0);
	world_destroy(w);
}

static int
let_go(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode)
{
	(void)dst;
	(void)mode;
	gw_page_set_movable(m, src, NULL, 0);
	return -EAGAIN;
}

/* FACTS 1.6: so does a page that becomes unmovable while the range is emptied. */
static void
unmovable_page_turns_up(void **state)
{
	static const struct gw_movable_ops ops = {.migrate = let_go};
	struct world *w = world_create(4 * BLOCK, PB, PB + 1, 1, NULL);
	struct gw_obstacle why;

	(void)state;
	world_fill(w, 0, 3, '.');
	assert_int_equal(gw_seed_movable(w->m, 3, 0, &ops, 0, GW_LRU_NR), 0);
	world_fill(w, 4, 4 * BLOCK - 4, '.');
	world_ready(w);
	assert_int_equal(gw_offline_pages(w->m, 0, BLOCK, &why), -EBUSY);
	assert_int_equal(why.pfn, 3);
	assert_int_equal(why.why, GW_WHY_UNMOVABLE);
	assert_int_equal(gw_pageblock_type(w->m, 0), GW_MT_MOVABLE);
	gw_put_page(w->m, 3);
	world_destroy(w);
}

/* What is left of memory has watermarks of its own size, unless the config gave them. */
static void
watermarks_follow(void **state)
{
	struct gw_zone_config zones[] = {{.name = "a", .end = 32 * BLOCK},
		{.name = "b", .start = 32 * BLOCK, .end = 64 * BLOCK},
		{.name = "c",
			.start = 64 * BLOCK,
			.end = 96 * BLOCK,
			.wmark_min = 5,
			.wmark_low = 6,
			.wmark_high = 7}};
	struct gw_machine_config config;
	struct gw_zone_info zone;
	struct fixture *f;

	(void)state;
	gw_machine_config_init(&config);
	config.max_order = PB + 1;
	config.pageblock_order = PB;
	config.n_frames = 96 * BLOCK;
	config.zones = zones;
	config.n_zones = 3;
	config.min_free_kbytes = 4 * 96;
	f = fixture_create_config(&config);
	for (unsigned z = 0; z < 3; z++)
		assert_int_equal(gw_seed_free(f->m, z * 32 * BLOCK, 32 * BLOCK), 0);
	gw_seed_done(f->m);
	assert_int_equal(gw_zone_info(f->m, 0, &zone), 0);
	assert_int_equal(zone.wmark_min, 32);
	assert_int_equal(gw_offline_pages(f->m, 0, 24 * BLOCK, NULL), 0);
	assert_int_equal(gw_zone_info(f->m, 0, &zone), 0);
	assert_int_equal(zone.wmark_min, 96 * 8 / 72);
	assert_int_equal(gw_zone_info(f->m, 1, &zone), 0);
	assert_int_equal(zone.wmark_min, 96 * 32 / 72);
	assert_int_equal(zone.wmark_high, 42 + 2 * (42 / 4));
	assert_int_equal(gw_zone_info(f->m, 2, &zone), 0);
	assert_int_equal(zone.wmark_high, 7);
	assert_int_equal(gw_online_pages(f->m, 0, 24 * BLOCK), 0);
	assert_int_equal(gw_zone_info(f->m, 0, &zone), 0);
	assert_int_equal(zone.wmark_min, 32);
	fixture_destroy(f);
}

/* ---- the dry run ---- */

struct findings {
	unsigned n;
	struct gw_obstacle all[64];
};

static void
note(void *ctx, const struct gw_obstacle *obstacle)
{
	struct findings *f = ctx;

	assert_in_range(f->n, 0, 63);
	f->all[f->n++] = *obstacle;
}

static void
expect(const struct findings *f, unsigned i, gw_pfn_t pfn, unsigned order, enum gw_obstacle_why why)
{
	assert_true(i < f->n);
	assert_int_equal(f->all[i].pfn, pfn);
	assert_int_equal(f->all[i].order, order);
	assert_int_equal(f->all[i].why, why);
}

/* Part 4 row 13: all pages in the way, why, what would have to move and where to, and nothing
 * changes. */
static void
dry_run(void **state)
{
	struct world *w = world_create(8 * BLOCK, PB, PB + 1, 1, NULL);
	struct gw_range_outlook outlook;
	struct findings f = {0};

	(void)state;
	assert_int_equal(gw_seed_pageblock(w->m, 3 * BLOCK, GW_MT_CMA), 0);
	world_draw(w, 0, "m...u.....u....p");
	world_draw(w, BLOCK, "2---m...........");
	world_draw(w, 2 * BLOCK, "........hh......");
	world_fill(w, 3 * BLOCK, BLOCK, '.');
	world_fill(w, 4 * BLOCK, 4 * BLOCK, '.');
	world_ready(w);
	gw_get_page(w->m, BLOCK); /* a pin */
	assert_int_equal(gw_range_look(w->m, 0, 4 * BLOCK, GW_MT_MOVABLE, note, &f, &outlook), 0);
	assert_int_equal(f.n, 6);
	expect(&f, 0, 4, 0, GW_WHY_UNMOVABLE);
	expect(&f, 1, 10, 0, GW_WHY_UNMOVABLE);
	expect(&f, 2, BLOCK, 2, GW_WHY_PINNED);
	expect(&f, 3, 2 * BLOCK + 8, 0, GW_WHY_RESERVED);
	expect(&f, 4, 2 * BLOCK + 9, 0, GW_WHY_RESERVED);
	expect(&f, 5, 3 * BLOCK, PB, GW_WHY_CMA);
	assert_int_equal(outlook.movable, 2);
	assert_int_equal(outlook.blocked, 2 + 4 + 2 + BLOCK);
	assert_int_equal(outlook.free, 3 * BLOCK - 2 - 2 - 4 - 2);
	assert_int_equal(outlook.room, 5 * BLOCK);
	assert_false(outlook.possible);
	gw_put_page(w->m, BLOCK);
	f.n = 0;
	assert_int_equal(
		gw_range_look(w->m, BLOCK, 2 * BLOCK, GW_MT_MOVABLE, note, &f, &outlook), 0);
	assert_int_equal(f.n, 0);
	assert_int_equal(outlook.movable, 5);
	assert_true(outlook.possible);
	assert_int_equal(gw_offline_pages(w->m, BLOCK, 2 * BLOCK, NULL), 0);
	assert_int_equal(w->moves, 2);
	assert_int_equal(gw_online_pages(w->m, BLOCK, 2 * BLOCK), 0);
	assert_int_equal(gw_range_look(w->m, 5, 5, GW_MT_MOVABLE, NULL, NULL, &outlook), -EINVAL);
	world_destroy(w);
}

/* Pages that could move, and have nowhere to go. */
static void
dry_run_sees_want_of_room(void **state)
{
	const struct gw_zone_config zone = {.wmark_min = 10, .wmark_low = 11, .wmark_high = 12};
	struct world *w = world_create(2 * BLOCK, PB, PB + 1, 1, &zone);
	struct gw_range_outlook outlook;

	(void)state;
	world_draw(w, 0, "mmmmmmm.........");
	world_fill(w, BLOCK, BLOCK, '.');
	world_ready(w);
	assert_int_equal(gw_range_look(w->m, 0, BLOCK, GW_MT_MOVABLE, NULL, NULL, &outlook), 0);
	assert_int_equal(outlook.room, 6);
	assert_int_equal(outlook.movable, 7);
	assert_false(outlook.possible);
	world_destroy(w);
}

/* ---- interruption ---- */

struct attempt {
	struct world *w;
	struct gw_task task;
	gw_atomic_u32 begun;
	int result;
	struct gw_obstacle why;
};

static void *
try_offline(void *arg)
{
	struct attempt *a = arg;

	assert_int_equal(gw_task_attach(&a->task, a->w->m, 1), 0);
	gw_u32_store_release(&a->begun, 1);
	a->result = gw_offline_pages(a->w->m, 0, BLOCK, &a->why);
	gw_task_detach(&a->task);
	return NULL;
}

/* FACTS 1.6: there is no limit of tries; an interruption ends it with -EINTR, the isolation undone,
 * the page that was left named. */
static void
interruption_ends_it(void **state)
{
	struct world *w = world_create(4 * BLOCK, PB, PB + 1, 2, NULL);
	struct attempt a = {.w = w};
	pthread_t thread;

	(void)state;
	world_draw(w, 0, "....m...........");
	world_fill(w, BLOCK, 3 * BLOCK, '.');
	world_ready(w);
	gw_get_page(w->m, 4);
	assert_int_equal(pthread_create(&thread, NULL, try_offline, &a), 0);
	while (!gw_u32_load_acquire(&a.begun) || gw_pageblock_type(w->m, 0) != GW_MT_ISOLATE)
		sched_yield();
	for (unsigned i = 0; i < 1000; i++)
		sched_yield(); /* many rounds, none the last */
	assert_int_equal(gw_pageblock_type(w->m, 0), GW_MT_ISOLATE);
	gw_task_interrupt(&a.task);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(a.result, -EINTR);
	assert_int_equal(a.why.pfn, 4);
	assert_int_equal(a.why.why, GW_WHY_PINNED);
	assert_int_equal(gw_pageblock_type(w->m, 0), GW_MT_MOVABLE);
	gw_put_page(w->m, 4);
	world_destroy(w);
}

/* ---- programs that use the memory all the time ---- */

#define SOFT_FRAMES 4096
#define SOFT_PB	    6
#define FAULTERS    3
#define PAGES	    900

struct program {
	struct gw_machine *m;
	struct gw_mm *mm;
	gw_vaddr_t addr;
	gw_atomic_u32 stop;
};

struct faulter {
	struct program *p;
	unsigned cpu;
	uint64_t random;
	pthread_t thread;
	bool wrong;
};

static void *
touch_all_the_time(void *arg)
{
	struct faulter *f = arg;
	struct gw_task task;

	assert_int_equal(gw_task_attach(&task, f->p->m, f->cpu), 0);
	while (!gw_u32_load_relaxed(&f->p->stop)) {
		uint64_t page = test_random(&f->random) % PAGES, value = 0;
		gw_vaddr_t addr = f->p->addr + page * GW_PAGE_SIZE;

		f->wrong = f->wrong || gw_cpu_load(f->p->mm, addr, &value) || value != page + 1;
	}
	gw_task_detach(&task);
	return NULL;
}

static struct gw_soft *
soft_machine(void)
{
	struct gw_zone_config zone = {.name = "Normal", .end = SOFT_FRAMES};
	struct gw_machine_config config;
	struct gw_error err = {""};
	struct gw_soft *soft = NULL;

	gw_machine_config_init(&config);
	config.n_cpus = FAULTERS + 1;
	config.max_order = SOFT_PB + 1;
	config.pageblock_order = SOFT_PB;
	config.n_frames = SOFT_FRAMES;
	config.zones = &zone;
	config.n_zones = 1;
	assert_int_equal(gw_soft_create(&config, &soft, &err), 0);
	return soft;
}

static void
start_program(struct program *p, struct gw_machine *m)
{
	*p = (struct program){.m = m};
	assert_int_equal(gw_mm_create(m, &p->mm), 0);
	assert_int_equal(
		gw_mmap(p->mm, 0, PAGES * GW_PAGE_SIZE, GW_PROT_READ | GW_PROT_WRITE, 0, &p->addr),
		0);
	for (uint64_t i = 0; i < PAGES; i++)
		assert_int_equal(gw_cpu_store(p->mm, p->addr + i * GW_PAGE_SIZE, i + 1), 0);
}

/* Take every memory block of four pageblocks offline and give it back. Returns how many could be.
 */
static unsigned
take_each_block(struct gw_machine *m)
{
	gw_pfn_t n = (gw_pfn_t)4 << SOFT_PB;
	unsigned done = 0;

	for (gw_pfn_t start = 0; start < SOFT_FRAMES; start += n) {
		struct gw_obstacle why;
		int err = gw_offline_pages(m, start, start + n, &why);

		if (err) {
			assert_int_equal(err, -EBUSY);
			assert_int_equal(why.why, GW_WHY_UNMOVABLE); /* page tables */
			continue;
		}
		done++;
		assert_int_equal(gw_online_pages(m, start, start + n), 0);
	}
	return done;
}

/* C2, FACTS 1.6: the loop, which has no limit of tries, ends beside tasks that fault on the pages
 * all the time, if these wait without a reference. */
static void
loop_ends_beside_faults(void **state)
{
	static const enum gw_wait_era eras[] = {GW_ERA_DROP, GW_ERA_NONE};

	(void)state;
	for (unsigned e = 0; e < 2; e++) {
		struct gw_soft *soft = soft_machine();
		struct gw_machine *m = gw_soft_machine(soft);
		struct faulter faulters[FAULTERS];
		struct program p;
		struct gw_task task;
		uint64_t seed = test_seed();

		assert_int_equal(gw_task_attach(&task, m, 0), 0);
		gw_machine_set_wait_era(m, eras[e]);
		start_program(&p, m);
		for (unsigned i = 0; i < FAULTERS; i++) {
			faulters[i] = (struct faulter){.p = &p, .cpu = i + 1, .random = seed + i};
			assert_int_equal(pthread_create(&faulters[i].thread, NULL,
						 touch_all_the_time, &faulters[i]),
				0);
		}
		for (unsigned round = 0; round < 5; round++)
			assert_true(take_each_block(m) >= SOFT_FRAMES / (4 << SOFT_PB) - 3);
		gw_u32_store_relaxed(&p.stop, 1);
		for (unsigned i = 0; i < FAULTERS; i++) {
			assert_int_equal(pthread_join(faulters[i].thread, NULL), 0);
			assert_false(faulters[i].wrong);
		}
		assert_true(gw_machine_count(m, GW_VM_PGMIGRATE_SUCCESS) >= PAGES);
		gw_mm_put(p.mm);
		assert_int_equal(gw_machine_check(m, NULL, NULL), 0);
		gw_task_detach(&task);
		gw_rcu_barrier(); /* freed anon_vmas are on their way */
		gw_soft_destroy(soft);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offline_and_online),
		cmocka_unit_test(what_can_be_offlined),
		cmocka_unit_test(unmovable_page_is_named),
		cmocka_unit_test(unmovable_page_turns_up),
		cmocka_unit_test(watermarks_follow),
		cmocka_unit_test(dry_run),
		cmocka_unit_test(dry_run_sees_want_of_room),
		cmocka_unit_test(interruption_ends_it),
		cmocka_unit_test(loop_ends_beside_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
