/* SPDX-License-Identifier: MIT */
/*
 * test_memcg.c - memory control groups: limits, and charges that end and move with their pages
 * (FACTS A9, E13).
 *
 * The linker sends gw_reclaim_for_memcg() here, so a test says what reclaim in a group gives.
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "engine/phys/charge.h"
#include "engine/store/store.h"
#include "machine_fixture.h"

#define FRAMES	1024
#define THREADS 4
#define STEPS	20000
#define HELD	64

struct groups {
	struct fixture *f;
	struct gw_machine *m;
	struct gw_machine_ops ops; /* the fixture's, but bugs are counted */
	uint64_t free;
	struct gw_memcg *memcg;
	unsigned reclaims; /* calls */
	gw_pfn_t old;	   /* a page that reclaim finds */
	unsigned bugs;
	unsigned findings;
};

static struct groups *
groups_of(struct gw_machine *m)
{
	return fixture_of(m)->user;
}

uint64_t __wrap_gw_reclaim_for_memcg(
	struct gw_machine *m, unsigned node, struct gw_memcg *memcg, uint64_t n);

uint64_t
__wrap_gw_reclaim_for_memcg(struct gw_machine *m, unsigned node, struct gw_memcg *memcg, uint64_t n)
{
	struct groups *g = groups_of(m);

	assert_int_equal(node, 0);
	assert_ptr_equal(memcg, g->memcg);
	assert_true(n > 0);
	g->reclaims++;
	if (g->old == GW_PFN_NONE)
		return 0;
	gw_put_page(m, g->old);
	g->old = GW_PFN_NONE;
	return 1;
}

static void
count_bug(void *ctx, const char *message)
{
	struct fixture *f = ctx;

	(void)message;
	((struct groups *)f->user)->bugs++;
}

static void
count_finding(void *ctx, const char *line)
{
	struct groups *g = ctx;

	if (!strncmp(line, "J1", 2) || !strncmp(line, "J3", 2))
		g->findings++;
}

static unsigned
findings(struct groups *g)
{
	unsigned all;

	g->findings = 0;
	all = gw_machine_check(g->m, count_finding, g);
	assert_int_equal(all, g->findings);
	return all;
}

static int
setup(void **state)
{
	struct groups *g = calloc(1, sizeof(*g));

	g->f = fixture_create(FRAMES, 4, 4);
	g->f->user = g;
	g->m = g->f->m;
	g->ops = *g->m->ops;
	g->ops.bug = count_bug;
	g->m->ops = &g->ops;
	g->free = fixture_free_frames(g->f);
	g->old = GW_PFN_NONE;
	assert_int_equal(gw_memcg_create(g->m, UINT64_MAX, &g->memcg), 0);
	*state = g;
	return 0;
}

static int
teardown(void **state)
{
	struct groups *g = *state;

	if (g->memcg)
		gw_memcg_put(g->memcg);
	assert_null(g->m->memcgs);
	assert_int_equal(fixture_free_frames(g->f), g->free);
	fixture_destroy(g->f);
	free(g);
	return 0;
}

static gw_pfn_t
charged_page(struct groups *g)
{
	gw_pfn_t page = fixture_alloc(g->f, 0);

	assert_int_equal(gw_memcg_charge(g->memcg, page), 0);
	return page;
}

/* A page is charged until its last reference goes (J1). */
static void
test_charge_ends_with_page(void **state)
{
	struct groups *g = *state;
	gw_pfn_t page = charged_page(g);

	assert_int_equal(gw_memcg_usage(g->memcg), 1);
	assert_ptr_equal(gw_page_memcg(g->m, page), g->memcg);
	fixture_check(g->f);
	gw_get_page(g->m, page);
	gw_put_page(g->m, page);
	assert_int_equal(gw_memcg_usage(g->memcg), 1);
	gw_put_page(g->m, page);
	assert_int_equal(gw_memcg_usage(g->memcg), 0);
	page = fixture_alloc(g->f, 0);
	assert_null(gw_page_memcg(g->m, page));
	gw_put_page(g->m, page);
}

/* No group, no charge. */
static void
test_nobody_pays(void **state)
{
	struct groups *g = *state;
	gw_pfn_t page = fixture_alloc(g->f, 0);

	assert_int_equal(gw_memcg_charge(NULL, page), 0);
	assert_null(gw_page_memcg(g->m, page));
	gw_put_page(g->m, page);
}

/* A charged page keeps its group, whoever else has let it go (J4). */
static void
test_page_keeps_group(void **state)
{
	struct groups *g = *state;
	gw_pfn_t page = charged_page(g);

	gw_memcg_put(g->memcg);
	gw_rcu_barrier();
	assert_ptr_equal(g->m->memcgs, g->memcg);
	fixture_check(g->f);
	gw_put_page(g->m, page);
	assert_null(g->m->memcgs);
	g->memcg = NULL;
}

/* Beyond the limit a charge fails, after reclaim in the group that gave nothing; the page stays
 * whose it was (J2). */
static void
test_limit(void **state)
{
	struct groups *g = *state;
	gw_pfn_t first, second = fixture_alloc(g->f, 0);

	gw_memcg_set_limit(g->memcg, 1);
	first = charged_page(g);
	assert_int_equal(g->reclaims, 0);
	assert_int_equal(gw_memcg_charge(g->memcg, second), -ENOMEM);
	assert_true(g->reclaims > 0);
	assert_int_equal(gw_memcg_usage(g->memcg), 1);
	assert_null(gw_page_memcg(g->m, second));
	gw_put_page(g->m, first);
	assert_int_equal(gw_memcg_charge(g->memcg, second), 0);
	gw_put_page(g->m, second);
}

/* Reclaim in the group makes room for a charge. */
static void
test_limit_reclaims(void **state)
{
	struct groups *g = *state;
	gw_pfn_t page = fixture_alloc(g->f, 0);

	gw_memcg_set_limit(g->memcg, 1);
	g->old = charged_page(g);
	assert_int_equal(gw_memcg_charge(g->memcg, page), 0);
	assert_int_equal(g->reclaims, 1);
	assert_int_equal(g->old, GW_PFN_NONE);
	gw_put_page(g->m, page);
}

/* Who reclaims does not reclaim for its own charges. */
static void
test_reclaim_does_not_nest(void **state)
{
	struct groups *g = *state;
	gw_pfn_t page = fixture_alloc(g->f, 0);

	gw_memcg_set_limit(g->memcg, 0);
	gw_current()->flags |= GW_TASK_MEMALLOC;
	assert_int_equal(gw_memcg_charge(g->memcg, page), -ENOMEM);
	gw_current()->flags &= ~(uint32_t)GW_TASK_MEMALLOC;
	assert_int_equal(g->reclaims, 0);
	gw_put_page(g->m, page);
}

/* A lowered limit takes nothing away, but gives nothing more until usage is below. */
static void
test_lower_limit(void **state)
{
	struct groups *g = *state;
	gw_pfn_t a = charged_page(g), b = charged_page(g), c = fixture_alloc(g->f, 0);

	gw_memcg_set_limit(g->memcg, 1);
	assert_int_equal(gw_memcg_usage(g->memcg), 2);
	gw_put_page(g->m, a);
	assert_int_equal(gw_memcg_charge(g->memcg, c), -ENOMEM);
	gw_put_page(g->m, b);
	assert_int_equal(gw_memcg_charge(g->memcg, c), 0);
	gw_put_page(g->m, c);
}

/* The charge moves with its page: never none, never two; the old page's end is not its end (A9,
 * E13). */
static void
test_charge_moves(void **state)
{
	struct groups *g = *state;
	gw_pfn_t src = charged_page(g), dst = fixture_alloc(g->f, 0);

	assert_true(gw_page_trylock(g->m, src) && gw_page_trylock(g->m, dst));
	gw_memcg_migrate(g->m, dst, src);
	assert_ptr_equal(gw_page_memcg(g->m, dst), g->memcg);
	assert_null(gw_page_memcg(g->m, src));
	assert_int_equal(gw_memcg_usage(g->memcg), 1);
	gw_page_unlock(g->m, dst);
	gw_page_unlock(g->m, src);
	fixture_check(g->f);
	gw_put_page(g->m, src);
	assert_int_equal(gw_memcg_usage(g->memcg), 1);
	gw_put_page(g->m, dst);
	assert_int_equal(gw_memcg_usage(g->memcg), 0);
	assert_int_equal(g->bugs, 0);
}

/* A page that nobody pays for moves for nothing. */
static void
test_no_charge_moves(void **state)
{
	struct groups *g = *state;
	gw_pfn_t src = fixture_alloc(g->f, 0), dst = fixture_alloc(g->f, 0);

	assert_true(gw_page_trylock(g->m, src) && gw_page_trylock(g->m, dst));
	gw_memcg_migrate(g->m, dst, src);
	assert_null(gw_page_memcg(g->m, dst));
	gw_page_unlock(g->m, dst);
	gw_page_unlock(g->m, src);
	gw_put_page(g->m, src);
	gw_put_page(g->m, dst);
}

/* A charge that would move after the old page was freed is a broken invariant (E13). */
static void
test_charge_moves_too_late(void **state)
{
	struct groups *g = *state;
	gw_pfn_t src = charged_page(g), dst = fixture_alloc(g->f, 0);

	if (!GW_CHECKS) {
		gw_put_page(g->m, src);
		gw_put_page(g->m, dst);
		skip();
	}
	assert_true(gw_page_trylock(g->m, dst));
	gw_put_page(g->m, src);
	gw_memcg_migrate(g->m, dst, src);
	assert_int_equal(g->bugs, 1);
	gw_page_unlock(g->m, dst);
	gw_put_page(g->m, dst);
}

/* An address space's group is kept by it and by its children, and replaced or left. */
static void
test_mm_group(void **state)
{
	struct groups *g = *state;
	struct gw_memcg *other;
	struct gw_mm *mm, *child;

	assert_int_equal(gw_mm_create(g->m, &mm), 0);
	assert_int_equal(gw_memcg_create(g->m, 1, &other), 0);
	gw_mm_set_memcg(mm, other);
	gw_memcg_put(other);
	assert_ptr_equal(g->m->memcgs, other);
	assert_int_equal(gw_mm_fork(mm, &child), 0);
	gw_mm_set_memcg(mm, g->memcg);
	assert_ptr_equal(g->m->memcgs, other);
	gw_mm_put(child);
	assert_ptr_equal(g->m->memcgs, g->memcg);
	gw_mm_put(mm);
	g->free -= 1; /* the zero page, which stays */
}

/* What a fault brings in is charged to the address space's group, page tables are not. */
static void
test_fault_charges(void **state)
{
	struct groups *g = *state;
	struct gw_mm *mm;
	gw_vaddr_t addr;

	assert_int_equal(gw_mm_create(g->m, &mm), 0);
	gw_mm_set_memcg(mm, g->memcg);
	assert_int_equal(
		gw_mmap(mm, 0, 3 * GW_PAGE_SIZE, GW_PROT_READ | GW_PROT_WRITE, 0, &addr), 0);
	assert_int_equal(gw_fault(mm, addr, GW_ACCESS_READ), 0);
	assert_int_equal(gw_memcg_usage(g->memcg), 0); /* the zero page is everybody's */
	assert_int_equal(gw_fault(mm, addr, GW_ACCESS_WRITE), 0);
	assert_int_equal(gw_memcg_usage(g->memcg), 1);
	gw_memcg_set_limit(g->memcg, 1);
	assert_int_equal(gw_fault(mm, addr + GW_PAGE_SIZE, GW_ACCESS_WRITE), -ENOMEM);
	gw_mm_put(mm);
	gw_lru_add_drain_all(g->m);
	assert_int_equal(gw_memcg_usage(g->memcg), 0);
	g->free -= 1;
}

/* Without memory for a group, or for the side table, nothing has changed. */
static void
test_no_memory(void **state)
{
	struct groups *g = *state;
	struct gw_memcg *none = NULL;
	gw_pfn_t page = fixture_alloc(g->f, 0);

	g->f->fail_at = gw_u64_load_relaxed(&g->f->allocations) + 1;
	assert_int_equal(gw_memcg_create(g->m, 1, &none), -ENOMEM);
	assert_null(none);
	g->f->fail_at = gw_u64_load_relaxed(&g->f->allocations) + 1;
	assert_int_equal(gw_memcg_charge(g->memcg, page), -ENOMEM);
	assert_int_equal(gw_memcg_usage(g->memcg), 0);
	assert_int_equal(gw_memcg_charge(g->memcg, page), 0);
	gw_put_page(g->m, page);
}

/* gw_machine_check() finds a wrong sum, and a charge that the page does not know of (J1, J3). */
static void
test_check_finds(void **state)
{
	struct groups *g = *state;
	gw_pfn_t page = charged_page(g);

	assert_int_equal(findings(g), 0);
	gw_u64_add_relaxed(&g->memcg->usage, 1);
	assert_int_equal(findings(g), 1);
	gw_u64_sub_relaxed(&g->memcg->usage, 1);
	gw_u32_and_relaxed(&gw_page(g->m, page)->flags, ~GW_PG_CHARGED);
	assert_int_equal(findings(g), 2);
	gw_u32_or_relaxed(&gw_page(g->m, page)->flags, GW_PG_CHARGED);
	assert_int_equal(findings(g), 0);
	gw_put_page(g->m, page);
}

struct charger {
	struct groups *g;
	pthread_t thread;
	unsigned cpu;
	uint64_t random;
	uint64_t most; /* usage seen */
	uint64_t charged, refused;
	gw_pfn_t pages[HELD];
	unsigned n;
};

/* Drop a page, or move its charge to a new one and drop it then. */
static void
drop_or_move(struct charger *c, uint64_t r)
{
	struct gw_machine *m = c->g->m;
	unsigned i = (unsigned)(r % c->n);
	gw_pfn_t src = c->pages[i], dst;

	if (r & 0x10000 || gw_alloc_from_zonelist(m, 0, 0, 0, GW_WMARK_MIN, &dst)) {
		gw_put_page(m, src);
		c->pages[i] = c->pages[--c->n];
		return;
	}
	if (!gw_page_trylock(m, src) || !gw_page_trylock(m, dst))
		abort();
	gw_memcg_migrate(m, dst, src);
	gw_page_unlock(m, dst);
	gw_page_unlock(m, src);
	gw_put_page(m, src);
	c->pages[i] = dst;
}

static void
charge_one(struct charger *c)
{
	struct gw_machine *m = c->g->m;
	gw_pfn_t page;
	uint64_t usage;

	if (c->n == HELD || gw_alloc_from_zonelist(m, 0, 0, 0, GW_WMARK_MIN, &page))
		return;
	if (gw_memcg_charge(c->g->memcg, page)) {
		c->refused++;
		gw_put_page(m, page);
		return;
	}
	c->charged++;
	c->pages[c->n++] = page;
	usage = gw_memcg_usage(c->g->memcg);
	if (usage > c->most)
		c->most = usage;
}

static void *
charger_thread(void *arg)
{
	struct charger *c = arg;
	struct gw_task task;

	if (gw_task_attach(&task, c->g->m, c->cpu))
		abort();
	task.flags |= GW_TASK_MEMALLOC; /* over the limit at once */
	for (unsigned i = 0; i < STEPS; i++) {
		uint64_t r = test_random(&c->random);

		if (c->n == 0 || r >> 63)
			charge_one(c);
		else
			drop_or_move(c, r & 0xfffff);
	}
	while (c->n)
		gw_put_page(c->g->m, c->pages[--c->n]);
	gw_task_detach(&task);
	return NULL;
}

/* Threads charge, move and free at once: usage never exceeds the limit, and is 0 at the end (J1,
 * J2). */
static void
test_threads(void **state)
{
	const uint64_t limit = HELD / 2; /* less than one thread alone wants */
	struct groups *g = *state;
	struct charger chargers[THREADS] = {0};
	uint64_t seed = test_seed(), charged = 0, refused = 0;

	gw_memcg_set_limit(g->memcg, limit);
	for (unsigned i = 0; i < THREADS; i++) {
		chargers[i] = (struct charger){.g = g, .cpu = i, .random = seed + i};
		assert_int_equal(
			pthread_create(&chargers[i].thread, NULL, charger_thread, &chargers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(chargers[i].thread, NULL);
		assert_true(chargers[i].most <= limit);
		charged += chargers[i].charged;
		refused += chargers[i].refused;
	}
	assert_true(charged > limit);
	assert_true(refused > 0);
	assert_int_equal(gw_memcg_usage(g->memcg), 0);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_charge_ends_with_page),
		T(test_nobody_pays),
		T(test_page_keeps_group),
		T(test_limit),
		T(test_limit_reclaims),
		T(test_reclaim_does_not_nest),
		T(test_lower_limit),
		T(test_charge_moves),
		T(test_no_charge_moves),
		T(test_charge_moves_too_late),
		T(test_mm_group),
		T(test_fault_charges),
		T(test_no_memory),
		T(test_check_finds),
		T(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
