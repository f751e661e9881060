/* SPDX-License-Identifier: MIT */
/*
 * nodes.c - what scenarios about placement are made of: two nodes with a CPU each, a file whose one
 * page is cached on node 0, and two address spaces that may map it.
 */
#include <errno.h>
#include <string.h>

#include "explore/scenarios/scenarios.h"
#include "godwit/soft.h"

static int
read_page(void *ctx, uint64_t index, void *bytes)
{
	const uint64_t value = GW_TWO_NODES_VALUE;

	(void)ctx;
	(void)index;
	memset(bytes, 0, GW_PAGE_SIZE);
	memcpy(bytes, &value, sizeof(value));
	return 0;
}

static int
write_page(void *ctx, uint64_t index, const void *bytes)
{
	(void)ctx;
	(void)index;
	(void)bytes;
	return 0;
}

static const struct gw_backing_ops store = {
	.read = read_page, .write = write_page, .migrate = gw_mapping_migrate};

int
gw_nodes_machine(gw_pfn_t frames, unsigned block_order, struct gw_machine **out)
{
	const struct gw_zone_config zones[2] = {{.name = "near", .end = frames},
		{.name = "far", .node = 1, .start = frames, .end = 2 * frames}};
	const unsigned cpu_nodes[2] = {0, 1};
	struct gw_machine_config config;

	gw_machine_config_init(&config);
	config.n_cpus = 2;
	config.max_order = block_order + 1;
	config.pageblock_order = block_order;
	config.n_frames = 2 * frames;
	config.zones = zones;
	config.n_zones = 2;
	config.cpu_nodes = cpu_nodes;
	config.lru_batch = 0;
	return gw_explore_machine(&config, out, NULL);
}

static int
make_space(struct gw_two_nodes *t, unsigned i)
{
	uint64_t word;
	gw_vaddr_t table = 0;
	int err = gw_small_space(t->m, i ? "far space" : "near space", &t->mm[i]);

	if (!err)
		err = gw_mmap_file(t->mm[i], 0, GW_PAGE_SIZE, GW_PROT_READ, GW_MAP_SHARED, t->file,
			0, &t->addr[i]);
	/* Its page tables, so that the tasks need make none. */
	if (!err)
		err = gw_mmap(t->mm[i], 0, GW_PAGE_SIZE, GW_PROT_READ, 0, &table);
	return err ? err : gw_cpu_load(t->mm[i], table, &word);
}

int
gw_two_nodes_setup(void *state)
{
	struct gw_two_nodes *t = state;
	struct gw_numa_tunables numa;
	uint64_t word;
	int err = gw_nodes_machine(GW_SMALL_FRAMES / 2, 3, &t->m);

	if (err)
		return err;
	gw_numa_tunables_init(&numa);
	numa.migrate_on_fault = true;
	err = gw_machine_set_numa(t->m, &numa);
	if (!err)
		err = gw_mapping_create(t->m, &store, NULL, 1, 0, &t->file);
	for (unsigned i = 0; i < 2 && !err; i++)
		err = make_space(t, i);
	if (!err)
		err = gw_mapping_read(t->file, 0, &word, sizeof(word));
	if (err)
		return err;
	t->pfn = gw_mapping_find(t->file, 0);
	gw_put_page(t->m, t->pfn);
	return 0;
}

static void
read_in(struct gw_two_nodes *t, unsigned i)
{
	t->err[i] = gw_cpu_load(t->mm[i], t->addr[i], &t->value[i]);
}

void
gw_two_nodes_read_near(void *state)
{
	read_in(state, 0);
}

void
gw_two_nodes_read_far(void *state)
{
	read_in(state, 1);
}

void
gw_two_nodes_teardown(void *state)
{
	struct gw_two_nodes *t = state;

	for (unsigned i = 0; i < 2; i++)
		gw_mm_put(t->mm[i]);
	gw_mapping_put(t->file);
	gw_machine_destroy(t->m);
}

void
gw_two_nodes_describe(const void *state, char *line, size_t size)
{
	const struct gw_two_nodes *t = state;

	gw_small_describe_page(t->m, t->pfn, line, size);
	gw_small_add_entry("near", t->mm[0], t->addr[0], line, size);
	gw_small_add_entry("far", t->mm[1], t->addr[1], line, size);
}
