/* SPDX-License-Identifier: MIT */
/* nodes_fixture.c - see nodes_fixture.h. */
#include "test.h"

#include "nodes_fixture.h"

/* The machine's ctx is the soft machine's: the clock is found by the machine's ops. */
static uint64_t
test_clock(void *ctx)
{
	const struct gw_machine *m = gw_current()->machine;
	const struct nodes *w =
		(const struct nodes *)((const char *)m->ops - offsetof(struct nodes, ops));

	(void)ctx;
	return gw_u64_load_relaxed(&w->now);
}

static struct nodes *
create(struct gw_machine_config *config, unsigned n, gw_pfn_t frames, uint64_t wmarks)
{
	struct gw_zone_config zones[8];
	unsigned cpu_nodes[8] = {0, 1, 2, 3, 4, 5, 6, 7};
	struct gw_error err = {""};
	struct nodes *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	for (unsigned i = 0; i < n; i++)
		zones[i] = (struct gw_zone_config){.name = "Normal",
			.node = i,
			.start = i * frames,
			.end = (i + 1) * frames,
			.wmark_min = wmarks,
			.wmark_low = 2 * wmarks,
			.wmark_high = 3 * wmarks};
	config->n_frames = n * frames;
	config->zones = zones;
	config->n_zones = n;
	config->cpu_nodes = cpu_nodes;
	if (gw_soft_create(config, &w->s.soft, &err))
		fail_msg("%s", err.text);
	w->m = w->s.m = gw_soft_machine(w->s.soft);
	w->real_ops = w->m->ops;
	w->ops = *w->real_ops;
	w->ops.clock_ns = test_clock;
	w->m->ops = &w->ops;
	assert_int_equal(gw_task_attach(&w->s.task, w->m, 0), 0);
	gw_mm_put(new_space(&w->s)); /* makes the zero page, which stays */
	gw_numa_tunables_init(&w->numa);
	w->s.free = free_frames(&w->s);
	return w;
}

struct nodes *
nodes_create(unsigned n, unsigned cpus, const uint8_t *distances, const unsigned *adistances,
	uint64_t wmarks)
{
	struct gw_machine_config config;

	gw_machine_config_init(&config);
	config.n_cpus = cpus;
	config.max_order = 5;
	config.pageblock_order = 4;
	config.distances = distances;
	config.adistances = adistances;
	return create(&config, n, NODE_FRAMES, wmarks);
}

struct nodes *
nodes_create_large(unsigned n, unsigned cpus, const uint8_t *distances, gw_pfn_t frames)
{
	struct gw_machine_config config;

	gw_machine_config_init(&config);
	config.n_cpus = cpus;
	config.distances = distances;
	return create(&config, n, frames, 0);
}

void
nodes_destroy(struct nodes *w)
{
	assert_int_equal(free_frames(&w->s), w->s.free);
	assert_int_equal(gw_machine_check(w->m, NULL, NULL), 0);
	gw_task_detach(&w->s.task);
	gw_rcu_barrier();
	w->m->ops = w->real_ops;
	gw_soft_destroy(w->s.soft);
	free(w);
}

void
on_cpu(struct nodes *w, unsigned cpu)
{
	assert_int_equal(gw_task_attach(&w->guest, w->m, cpu), 0);
}

void
off_cpu(struct nodes *w)
{
	gw_task_detach(&w->guest);
}

void
set_numa(struct nodes *w)
{
	assert_int_equal(gw_machine_set_numa(w->m, &w->numa), 0);
}

unsigned
node_of(struct nodes *w, gw_pfn_t page)
{
	return gw_page_node(w->m, page);
}

unsigned
node_at(struct nodes *w, struct gw_mm *mm, gw_vaddr_t addr)
{
	return node_of(w, page_of(mm, addr));
}

uint64_t
free_on(struct nodes *w, unsigned node)
{
	struct gw_zone_info info;

	gw_lru_add_drain_all(w->m);
	gw_drain_all_pages(w->m);
	assert_int_equal(gw_zone_info(w->m, node, &info), 0);
	return info.free;
}

uint64_t
events(struct nodes *w, enum gw_vm_event event)
{
	return gw_machine_count(w->m, event);
}

void
hog(struct nodes *w, struct hog *hog, unsigned node, uint64_t left)
{
	hog->n = 0;
	for (uint64_t free = free_on(w, node); free > left; free--)
		assert_int_equal(
			gw_alloc_from_zonelist(w->m, GW_GFP_THISNODE | GW_GFP_NO_WATERMARKS, node,
				0, GW_WMARK_MIN, &hog->pages[hog->n++]),
			0);
	gw_drain_all_pages(w->m);
}

void
unhog(struct nodes *w, struct hog *hog)
{
	while (hog->n)
		gw_put_page(w->m, hog->pages[--hog->n]);
	gw_drain_all_pages(w->m);
}

struct gw_policy
policy(enum gw_policy_mode mode, uint64_t nodes)
{
	return (struct gw_policy){.mode = mode, .nodes = nodes};
}

void
bind_range(struct gw_mm *mm, gw_vaddr_t addr, unsigned pages, struct gw_policy policy)
{
	assert_int_equal(gw_mbind(mm, addr, pages * PAGE, &policy, 0), 0);
}
