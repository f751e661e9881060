/* SPDX-License-Identifier: MIT */
/*
 * test_tiers.c - distances, tiers, and pages that go up and down between them (FACTS 2.3).
 *
 * Node 0 and 1 are ordinary memory with a CPU each; 2 and 3 are slower, near 0 and 1; 4 is slower
 * still.
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>

#include "godwit/memcg.h"
#include "godwit/reclaim.h"
#include "godwit/swap.h"
#include "nodes_fixture.h"

#define NODES 5

static const uint8_t distances[NODES * NODES] = {10, 21, 17, 28, 40, /**/ 21, 10, 28, 17, 40,
	/**/ 17, 28, 10, 28, 40, /**/
	28, 17, 28, 10, 40, /**/ 40, 40, 40, 40, 10};
static const unsigned adistances[NODES] = {GW_ADISTANCE_DRAM, 639, 640, 700, 5 * GW_ADISTANCE_DRAM};

static int
setup(void **state)
{
	struct nodes *w = nodes_create(NODES, 2, distances, adistances, 10);

	w->numa.demotion = true;
	set_numa(w);
	gw_u64_store_relaxed(&w->now, MS);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	nodes_destroy(*state);
	return 0;
}

/* ---- what a machine says of its nodes ---- */

/* Tiers are chunks of 128 of abstract distance, ordinary memory is tier 4; the top tiers are those
 * not below the slowest with CPUs; demotion goes to the nearest of the next lower tier. */
static void
tiers_are_chunks(void **state)
{
	static const unsigned tiers[NODES] = {4, 4, 5, 5, 22};
	static const uint64_t targets[NODES] = {1u << 2, 1u << 3, 1u << 4, 1u << 4, 0};
	struct nodes *w = *state;

	assert_int_equal(gw_machine_nodes(w->m), NODES);
	for (unsigned n = 0; n < NODES; n++) {
		assert_int_equal(gw_node_tier(w->m, n), tiers[n]);
		assert_int_equal(gw_node_is_top_tier(w->m, n), n < 2);
		assert_int_equal(gw_node_demotion_targets(w->m, n), targets[n]);
		for (unsigned to = 0; to < NODES; to++)
			assert_int_equal(gw_node_distance(w->m, n, to), distances[n * NODES + to]);
	}
	assert_int_equal(gw_cpu_node(w->m, 1), 1);
}

/* Without more said than zones: 10 and 20, one tier, all CPUs on node 0, nowhere to demote to. */
static void
defaults(void **state)
{
	struct gw_zone_config zones[2] = {
		{.name = "a", .end = 100}, {.name = "b", .node = 1, .start = 100, .end = 200}};
	struct gw_machine_config config;
	struct gw_machine *m;

	(void)state;
	gw_machine_config_init(&config);
	config.n_cpus = 3;
	config.n_frames = 200;
	config.zones = zones;
	config.n_zones = 2;
	assert_int_equal(gw_machine_create(&config, &gw_bare_ops, NULL, &m, NULL), 0);
	assert_int_equal(gw_node_distance(m, 0, 0), GW_DISTANCE_LOCAL);
	assert_int_equal(gw_node_distance(m, 1, 0), GW_DISTANCE_REMOTE);
	assert_int_equal(gw_node_tier(m, 1), 4);
	assert_true(gw_node_is_top_tier(m, 1));
	assert_int_equal(gw_node_demotion_targets(m, 0), 0);
	assert_int_equal(gw_cpu_node(m, 2), 0);
	gw_machine_destroy(m);
}

/* A config that contradicts itself is refused with a line that says how. */
static void
configs_are_checked(void **state)
{
	uint8_t wrong[] = {10, 20, 10, 10};
	const unsigned cpu_nodes[] = {0, 2};
	struct gw_zone_config zones[2] = {
		{.name = "a", .end = 100}, {.name = "b", .node = 1, .start = 100, .end = 200}};
	struct gw_machine_config config;
	struct gw_error err;
	struct gw_machine *m;

	(void)state;
	gw_machine_config_init(&config);
	config.n_cpus = 2;
	config.n_frames = 200;
	config.zones = zones;
	config.n_zones = 2;
	config.distances = wrong;
	assert_int_equal(gw_machine_create(&config, &gw_bare_ops, NULL, &m, &err), -EINVAL);
	assert_string_equal(
		err.text, "distance 10 from node 1 to 0: must be 10 to itself, else more");
	wrong[2] = 11;
	wrong[3] = 9;
	assert_int_equal(gw_machine_create(&config, &gw_bare_ops, NULL, &m, &err), -EINVAL);
	wrong[3] = 10;
	config.cpu_nodes = cpu_nodes;
	assert_int_equal(gw_machine_create(&config, &gw_bare_ops, NULL, &m, &err), -EINVAL);
	assert_string_equal(err.text, "CPU 1: on node 2 of 2");
}

/* Zonelists go by distance: a request that its node cannot serve goes to the nearest that can. */
static void
requests_go_by_distance(void **state)
{
	static const unsigned order[] = {1, 3, 0, 2, 4};
	struct nodes *w = *state;
	struct hog hogs[NODES];
	gw_pfn_t page;

	for (unsigned i = 0; i < NODES; i++) {
		assert_int_equal(gw_alloc_pages(w->m, GW_GFP_MOVABLE, 1, 0, &page), 0);
		assert_int_equal(node_of(w, page), order[i]);
		gw_put_page(w->m, page);
		hog(w, &hogs[i], order[i], 10);
	}
	for (unsigned i = 0; i < NODES; i++)
		unhog(w, &hogs[i]);
}

/* ---- down ---- */

#define PAGES 64

static void
fill(struct gw_mm *mm, gw_vaddr_t addr, unsigned pages)
{
	for (unsigned i = 0; i < pages; i++)
		poke(mm, addr + i * PAGE, addr + i);
}

/* Nothing was used since. */
static void
cool(struct nodes *w, struct gw_mm *mm, gw_vaddr_t addr, unsigned pages)
{
	gw_lru_add_drain_all(w->m);
	assert_int_equal(gw_madvise(mm, addr, pages * PAGE, GW_MADV_COLD), 0);
}

static unsigned
pages_on(struct nodes *w, struct gw_mm *mm, gw_vaddr_t addr, unsigned pages, unsigned node)
{
	unsigned n = 0;

	for (unsigned i = 0; i < pages; i++)
		n += gw_pte_kind(entry_of(mm, addr + i * PAGE)) == GW_PTE_IS_PRESENT &&
		     node_at(w, mm, addr + i * PAGE) == node;
	return n;
}

static void
expect(struct gw_mm *mm, gw_vaddr_t addr, unsigned pages)
{
	for (unsigned i = 0; i < pages; i++)
		assert_int_equal(peek(mm, addr + i * PAGE), addr + i);
}

/* Reclaim moves cold pages to the next tier, with their bytes, without any swap;
 * pgdemote_proactive.
 */
static void
cold_pages_go_down(void **state)
{
	struct nodes *w = *state;
	struct gw_mm *mm = new_space(&w->s);
	gw_vaddr_t addr = map(mm, PAGES);

	fill(mm, addr, PAGES);
	cool(w, mm, addr, PAGES);
	assert_in_range(gw_reclaim(w->m, 0, NULL, PAGES), PAGES, 2 * PAGES);
	assert_int_equal(pages_on(w, mm, addr, PAGES, 2), PAGES);
	assert_int_equal(events(w, GW_VM_PGDEMOTE_PROACTIVE), PAGES);
	assert_int_equal(events(w, GW_VM_PGDEMOTE_KSWAPD), 0);
	assert_int_equal(events(w, GW_VM_PGDEMOTE_DIRECT), 0);
	expect(mm, addr, PAGES);
	gw_mm_put(mm);
}

/* And from there further, and from the lowest tier nowhere: swap, if there is one. Swap is not
 * touched before. */
static void
lowest_tier_swaps(void **state)
{
	struct nodes *w = *state;
	struct gw_mm *mm = new_space(&w->s);
	gw_vaddr_t addr = map(mm, PAGES);
	void *ctx;

	assert_int_equal(gw_soft_ram_backing(PAGES, &ctx), 0);
	assert_int_equal(gw_swap_on(w->m, &gw_soft_ram_ops, ctx, PAGES), 0);
	fill(mm, addr, PAGES);
	for (unsigned node = 0; node <= 2; node += 2) {
		cool(w, mm, addr, PAGES);
		assert_true(gw_reclaim(w->m, node, NULL, PAGES) >= PAGES);
		assert_int_equal(pages_on(w, mm, addr, PAGES, node + 2), PAGES);
	}
	assert_int_equal(events(w, GW_VM_PSWPOUT), 0);
	cool(w, mm, addr, PAGES);
	assert_true(gw_reclaim(w->m, 4, NULL, PAGES) >= PAGES);
	assert_int_equal(pages_on(w, mm, addr, PAGES, 4), 0);
	assert_int_equal(events(w, GW_VM_PSWPOUT), PAGES);
	expect(mm, addr, PAGES);
	gw_mm_put(mm);
	assert_int_equal(gw_swap_off(w->m), 0);
}

/* When the next tier is full, any lower one will do; when all are, pages take the other ways. */
static void
full_tiers(void **state)
{
	struct nodes *w = *state;
	struct gw_mm *mm = new_space(&w->s);
	gw_vaddr_t addr = map(mm, PAGES);
	struct hog h[NODES];
	void *ctx;

	hog(w, &h[2], 2, 10);
	hog(w, &h[3], 3, 10);
	fill(mm, addr, PAGES);
	cool(w, mm, addr, PAGES);
	assert_true(gw_reclaim(w->m, 0, NULL, PAGES) >= PAGES);
	assert_int_equal(pages_on(w, mm, addr, PAGES, 4), PAGES);
	assert_int_equal(gw_madvise(mm, addr, PAGES * PAGE, GW_MADV_DONTNEED), 0);
	hog(w, &h[4], 4, 10);
	assert_int_equal(gw_soft_ram_backing(PAGES, &ctx), 0);
	assert_int_equal(gw_swap_on(w->m, &gw_soft_ram_ops, ctx, PAGES), 0);
	fill(mm, addr, PAGES);
	cool(w, mm, addr, PAGES);
	assert_true(gw_reclaim(w->m, 0, NULL, PAGES) >= PAGES);
	assert_int_equal(pages_on(w, mm, addr, PAGES, 0), 0);
	assert_int_equal(events(w, GW_VM_PSWPOUT), PAGES);
	expect(mm, addr, PAGES);
	gw_mm_put(mm);
	for (unsigned n = 2; n < NODES; n++)
		unhog(w, &h[n]);
	assert_int_equal(gw_swap_off(w->m), 0);
}

/* Used pages and locked ones stay; pages of files go down like others, dirty ones too. */
static void
what_goes_and_what_stays(void **state)
{
	struct nodes *w = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(&w->s, store);
	struct gw_mm *mm = new_space(&w->s);
	gw_vaddr_t hot = map(mm, 8), locked = map(mm, 8), mapped = 0;

	assert_int_equal(
		gw_mmap_file(mm, 0, 8 * PAGE, READWRITE, GW_MAP_SHARED, file, 0, &mapped), 0);
	fill(mm, mapped, 8);
	fill(mm, locked, 8);
	fill(mm, hot, 8);
	cool(w, mm, mapped, 8);
	cool(w, mm, locked, 8);
	assert_int_equal(gw_mlock(mm, locked, 8 * PAGE, true), 0);
	assert_int_equal(gw_reclaim(w->m, 0, NULL, 8), 8);
	assert_int_equal(pages_on(w, mm, mapped, 8, 2), 8);
	assert_int_equal(pages_on(w, mm, hot, 8, 0), 8);
	assert_int_equal(pages_on(w, mm, locked, 8, 0), 8);
	assert_int_equal(gw_u32_load_relaxed(&store->writes), 0);
	expect(mm, mapped, 8);
	gw_mm_put(mm);
	file_put(file);
	store_destroy(store);
}

/* A group over its limit gains nothing from pages that go down: its reclaim does not demote; and
 * with demotion off nobody's does. */
static void
not_for_a_group(void **state)
{
	struct nodes *w = *state;
	struct gw_mm *mm = new_space(&w->s);
	gw_vaddr_t addr = map(mm, 8);
	struct gw_memcg *memcg;

	assert_int_equal(gw_memcg_create(w->m, UINT64_MAX, &memcg), 0);
	gw_mm_set_memcg(mm, memcg);
	fill(mm, addr, 8);
	cool(w, mm, addr, 8);
	assert_int_equal(gw_reclaim(w->m, 0, memcg, 8), 0);
	w->numa.demotion = false;
	set_numa(w);
	assert_int_equal(gw_reclaim(w->m, 0, NULL, 8), 0);
	w->numa.demotion = true;
	set_numa(w);
	assert_int_equal(gw_reclaim(w->m, 0, NULL, 8), 8);
	assert_int_equal(gw_memcg_usage(memcg), 8);
	gw_mm_put(mm);
	gw_memcg_put(memcg);
}

/* The background reclaim of a node that is short demotes; pgdemote_kswapd. */
static void
kswapd_demotes(void **state)
{
	struct nodes *w = *state;
	struct gw_mm *mm = new_space(&w->s);
	gw_vaddr_t addr = map(mm, PAGES);
	struct hog h;

	fill(mm, addr, PAGES);
	cool(w, mm, addr, PAGES);
	hog(w, &h, 0, 10);
	assert_true(gw_balance_node(w->m, 0));
	assert_true(events(w, GW_VM_PGDEMOTE_KSWAPD) >= 20);
	assert_int_equal(pages_on(w, mm, addr, PAGES, 2), events(w, GW_VM_PGDEMOTE_KSWAPD));
	assert_int_equal(events(w, GW_VM_PGDEMOTE_DIRECT), 0);
	unhog(w, &h);
	expect(mm, addr, PAGES);
	gw_mm_put(mm);
}

/* An allocation that is bound to a full node makes room by demotion: pages of the set's other users
 * go down, nobody is refused. */
static void
bound_allocations_demote(void **state)
{
	struct nodes *w = *state;
	struct gw_mm *mm = new_space(&w->s);
	gw_vaddr_t cold = map(mm, PAGES), addr = map(mm, 8);
	struct hog h;

	fill(mm, cold, PAGES);
	bind_range(mm, addr, 8, policy(GW_POLICY_BIND, 1));
	cool(w, mm, cold, PAGES);
	poke(mm, addr, addr); /* its table */
	hog(w, &h, 0, 5);
	fill(mm, addr, 8);
	assert_int_equal(pages_on(w, mm, addr, 8, 0), 8);
	assert_true(events(w, GW_VM_PGDEMOTE_DIRECT) > 0);
	unhog(w, &h);
	expect(mm, cold, PAGES);
	gw_mm_put(mm);
}

/* ---- up ---- */

/* Pages of mm on node 2, whose entries hint since now. */
static gw_vaddr_t
slow_pages(struct nodes *w, struct gw_mm *mm, unsigned pages)
{
	gw_vaddr_t addr = map(mm, pages);

	bind_range(mm, addr, pages, policy(GW_POLICY_BIND, 1u << 2));
	fill(mm, addr, pages);
	gw_lru_add_drain_all(w->m);
	bind_range(mm, addr, pages, policy(GW_POLICY_DEFAULT, 0));
	assert_int_equal(scan_now(w, mm), pages);
	return addr;
}

static void
tiering(struct nodes *w)
{
	w->numa.balancing = GW_BALANCING_TIERING;
	set_numa(w);
}

/* A page of slow memory that is used soon after the scan is hot: it goes up to the CPU's node, on
 * its first fault. One that is used later stays. pgpromote_candidate, pgpromote_success. */
static void
hot_pages_go_up(void **state)
{
	struct nodes *w = *state;
	struct gw_mm *mm = new_space(&w->s);
	gw_vaddr_t addr;

	tiering(w);
	addr = slow_pages(w, mm, 4);
	pass_ms(w, 999);
	assert_int_equal(peek(mm, addr), addr);
	pass_ms(w, 1);
	assert_int_equal(peek(mm, addr + PAGE), addr + 1);
	assert_int_equal(node_at(w, mm, addr), 0);
	assert_int_equal(node_at(w, mm, addr + PAGE), 2);
	assert_int_equal(events(w, GW_VM_PGPROMOTE_CANDIDATE), 1);
	assert_int_equal(events(w, GW_VM_PGPROMOTE_SUCCESS), 1);
	assert_int_equal(events(w, GW_VM_NUMA_PAGES_MIGRATED), 1);
	gw_mm_put(mm);
}

/* In tiering mode alone the top tiers' pages are not looked at. */
static void
top_tier_is_left_alone(void **state)
{
	struct nodes *w = *state;
	struct gw_mm *mm = new_space(&w->s);
	gw_vaddr_t top = map(mm, 4);

	tiering(w);
	fill(mm, top, 4);
	(void)slow_pages(w, mm, 4);
	assert_false(hints(mm, top));
	gw_mm_put(mm);
}

/* The rate limit: so many MB in a second, of candidates, to each node; the next second begins anew.
 */
static void
promotions_are_limited(void **state)
{
	struct nodes *w = *state;
	struct gw_mm *mm = new_space(&w->s);
	const unsigned pages = 300; /* 256 to the MB */
	gw_vaddr_t addr;
	uint64_t value;

	w->numa.promote_rate_limit_mbps = 1;
	w->numa.hot_threshold_ms = 2000;
	tiering(w);
	gw_u64_store_relaxed(&w->now, 0); /* all in one second */
	addr = slow_pages(w, mm, pages);
	for (unsigned i = 0; i < pages - 2; i++)
		assert_int_equal(peek(mm, addr + i * PAGE), addr + i);
	assert_int_equal(pages_on(w, mm, addr, pages, 0), 256);
	assert_int_equal(events(w, GW_VM_PGPROMOTE_CANDIDATE), pages - 2);
	assert_int_equal(events(w, GW_VM_PGPROMOTE_SUCCESS), 256);
	assert_int_equal(try_peek(&w->s, 1, mm, addr + (pages - 2) * PAGE, &value), 0);
	assert_int_equal(node_at(w, mm, addr + (pages - 2) * PAGE), 1);
	pass_ms(w, 1000);
	assert_int_equal(peek(mm, addr + (pages - 1) * PAGE), addr + pages - 1);
	assert_int_equal(pages_on(w, mm, addr, pages, 0), 257);
	gw_mm_put(mm);
}

/* With room enough above its promotion watermark, of a sixteenth of its memory at least, or of what
 * the tunable says, a node takes whatever is used, hot or not, and without the limit;
 * pgpromote_candidate_nrl. Without it both hold. */
static void
room_takes_anything(void **state)
{
	const uint64_t promo = 40, sixteenth = NODE_FRAMES / 16;
	struct nodes *w = *state;
	struct gw_mm *mm = new_space(&w->s);
	gw_vaddr_t addr;
	struct hog h;

	w->numa.promote_rate_limit_mbps = 0;
	w->numa.promote_freely_mb = 0;
	tiering(w);
	addr = slow_pages(w, mm, 4);
	pass_ms(w, 5000); /* not hot any more */
	hog(w, &h, 0, promo + sixteenth + 1);
	assert_int_equal(peek(mm, addr), addr);
	assert_int_equal(node_at(w, mm, addr), 0);
	assert_int_equal(events(w, GW_VM_PGPROMOTE_CANDIDATE_NRL), 1);
	assert_int_equal(events(w, GW_VM_PGPROMOTE_CANDIDATE), 0);
	assert_int_equal(events(w, GW_VM_PGPROMOTE_SUCCESS), 1);
	assert_int_equal(free_on(w, 0), promo + sixteenth); /* one too few */
	assert_int_equal(peek(mm, addr + PAGE), addr + 1);
	assert_int_equal(node_at(w, mm, addr + PAGE), 2);
	assert_int_equal(events(w, GW_VM_PGPROMOTE_CANDIDATE_NRL), 1);
	unhog(w, &h);
	w->numa.promote_freely_mb = 2; /* half of it */
	set_numa(w);
	hog(w, &h, 0, promo + NODE_FRAMES / 2);
	assert_int_equal(peek(mm, addr + 2 * PAGE), addr + 2);
	assert_int_equal(node_at(w, mm, addr + 2 * PAGE), 2);
	gw_put_page(w->m, h.pages[--h.n]);
	gw_drain_all_pages(w->m);
	assert_int_equal(peek(mm, addr + 3 * PAGE), addr + 3);
	assert_int_equal(node_at(w, mm, addr + 3 * PAGE), 0);
	unhog(w, &h);
	gw_mm_put(mm);
}

/* Where hot pages are promoted to, the background reclaim makes room up to the promotion watermark;
 * below, and where none are, up to the high one. */
static void
kswapd_keeps_room(void **state)
{
	const uint64_t high = 30, promo = 40;
	struct nodes *w = *state;
	struct gw_mm *mm = new_space(&w->s);
	gw_vaddr_t cold = map(mm, 2 * PAGES);
	struct hog h[2];

	fill(mm, cold, 2 * PAGES);
	cool(w, mm, cold, 2 * PAGES);
	hog(w, &h[0], 0, high + 1);
	assert_true(gw_balance_node(w->m, 0));
	assert_int_equal(free_on(w, 0), high + 1);
	tiering(w);
	assert_true(gw_balance_node(w->m, 0));
	assert_true(free_on(w, 0) > promo);
	hog(w, &h[1], 2, high + 1);
	assert_true(gw_balance_node(w->m, 2));
	assert_int_equal(free_on(w, 2), high + 1);
	unhog(w, &h[0]);
	unhog(w, &h[1]);
	gw_mm_put(mm);
}

/* A full node above wakes its background reclaim, which demotes; then there is room. */
static void
promotion_makes_room(void **state)
{
	struct nodes *w = *state;
	struct gw_mm *mm = new_space(&w->s);
	gw_vaddr_t cold = map(mm, PAGES), addr;
	struct hog h;

	tiering(w);
	fill(mm, cold, PAGES);
	addr = slow_pages(w, mm, 2);
	cool(w, mm, cold, PAGES);
	hog(w, &h, 0, 25);
	assert_int_equal(peek(mm, addr), addr);
	assert_int_equal(node_at(w, mm, addr), 2);
	assert_true(gw_balance_node(w->m, 0));
	assert_int_equal(peek(mm, addr + PAGE), addr + 1);
	assert_int_equal(node_at(w, mm, addr + PAGE), 0);
	unhog(w, &h);
	gw_mm_put(mm);
}

/* ---- threads ---- */

#define STEPS 10000

struct program {
	struct nodes *w;
	struct gw_mm *mm;
	gw_vaddr_t addr;
	unsigned cpu, mistakes;
	gw_atomic_u32 *done;
};

static bool
demoted(struct nodes *w)
{
	return events(w, GW_VM_PGDEMOTE_PROACTIVE) > 0;
}

static void *
run_program(void *arg)
{
	struct program *p = arg;
	uint64_t value[PAGES] = {0}, found;
	struct gw_task task;

	if (gw_task_attach(&task, p->w->m, p->cpu))
		abort();
	/* A busy machine may give reclaim little time at first: not without any demotion. */
	for (unsigned step = 1; step <= STEPS || (step < 100 * STEPS && !demoted(p->w)); step++) {
		unsigned i = step * 5 % PAGES;
		gw_vaddr_t word = p->addr + i * PAGE + 8 * p->cpu;

		p->mistakes += gw_cpu_load(p->mm, word, &found) || found != value[i];
		value[i] = step;
		p->mistakes += gw_cpu_store(p->mm, word, step) != 0;
		gw_u64_add_relaxed(&p->w->now, MS);
		if (step % 32 == 0)
			(void)gw_numa_scan(p->mm);
	}
	gw_task_detach(&task);
	gw_u32_add_relaxed(p->done, 1);
	return NULL;
}

/* I5: pages go up and down under those who use them; no word is lost. */
static void
nothing_is_lost(void **state)
{
	struct nodes *w = *state;
	struct gw_mm *mm = new_space(&w->s);
	gw_atomic_u32 done = {0};
	struct program programs[2] = {
		{.w = w, .mm = mm, .done = &done}, {.w = w, .mm = mm, .cpu = 1, .done = &done}};
	pthread_t threads[2];

	w->numa.scan_delay_ms = 1;
	w->numa.scan_period_min_ms = w->numa.scan_period_max_ms = 10;
	w->numa.balancing = GW_BALANCING_NORMAL | GW_BALANCING_TIERING;
	set_numa(w);
	programs[0].addr = programs[1].addr = map(mm, PAGES);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_program, &programs[i]), 0);
	while (gw_u32_load_relaxed(&done) < 2) {
		assert_int_equal(gw_madvise(mm, programs[0].addr, PAGES * PAGE, GW_MADV_COLD), 0);
		for (unsigned node = 0; node < NODES; node++)
			(void)gw_reclaim(w->m, node, NULL, 32);
	}
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(programs[i].mistakes, 0);
	}
	assert_true(demoted(w));
	gw_mm_put(mm);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(tiers_are_chunks),
		cmocka_unit_test(defaults),
		cmocka_unit_test(configs_are_checked),
		T(requests_go_by_distance),
		T(cold_pages_go_down),
		T(lowest_tier_swaps),
		T(full_tiers),
		T(what_goes_and_what_stays),
		T(not_for_a_group),
		T(kswapd_demotes),
		T(bound_allocations_demote),
		T(hot_pages_go_up),
		T(top_tier_is_left_alone),
		T(promotions_are_limited),
		T(room_takes_anything),
		T(kswapd_keeps_room),
		T(promotion_makes_room),
		T(nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
