/* SPDX-License-Identifier: MIT */
/*
 * topology.c - nodes: distances, tiers, and in which order zones are tried.
 *
 * Idea. All of it is known when the machine is made and does not change. A zonelist has the node's
 * own zones first, then those of other nodes by distance; of equally distant ones those with the
 * nearest number first. Within a node zones come from the highest down.
 *
 * Tiers (FACTS 2.3). A node's abstract distance in chunks of 128 is its tier. Pages are demoted to
 * the nearest nodes of the next lower tier that has memory, or, failing that, to any lower one. The
 * top tiers are those not below the slowest tier that has CPUs.
 */
#include "engine/phys/topology.h"

unsigned
gw_config_nodes(const struct gw_machine_config *config)
{
	unsigned n = 0;

	for (unsigned z = 0; z < config->n_zones; z++)
		if (config->zones[z].node >= n)
			n = config->zones[z].node + 1;
	return n;
}

static int
check_distances(const struct gw_machine_config *c, unsigned n, struct gw_error *err)
{
	for (unsigned from = 0; from < n; from++) {
		for (unsigned to = 0; to < n; to++) {
			unsigned distance = c->distances[from * n + to];

			if (from == to ? distance != GW_DISTANCE_LOCAL
				       : distance <= GW_DISTANCE_LOCAL)
				return gw_refuse(err,
					"distance %u from node %u to %u: must be %d to itself, "
					"else more",
					distance, from, to, GW_DISTANCE_LOCAL);
		}
	}
	return 0;
}

int
gw_topology_check(const struct gw_machine_config *c, struct gw_error *err)
{
	unsigned n = gw_config_nodes(c);

	for (unsigned cpu = 0; c->cpu_nodes && cpu < c->n_cpus; cpu++)
		if (c->cpu_nodes[cpu] >= n)
			return gw_refuse(
				err, "CPU %u: on node %u of %u", cpu, c->cpu_nodes[cpu], n);
	return c->distances ? check_distances(c, n, err) : 0;
}

/* ---- zonelists ---- */

/* Nodes nearer than this come earlier: by distance, then by number, then the higher one. */
static unsigned
rank_of(const struct gw_node *node, unsigned id, unsigned other)
{
	unsigned apart = other > id ? 2 * (other - id) : 2 * (id - other) + 1;

	return (unsigned)node->distance[other] * 4 * GW_NODES_MAX + apart;
}

static void
append_zones(struct gw_machine *m, struct gw_node *node, unsigned of_node)
{
	for (unsigned z = m->n_zones; z-- > 0;)
		if (m->zones[z].node == of_node)
			node->zonelist[node->n_zonelist++] = z;
}

static void
init_zonelist(struct gw_machine *m, unsigned id)
{
	struct gw_node *node = &m->nodes[id];
	uint64_t left = m->memory_nodes;

	while (left) {
		unsigned next = (unsigned)__builtin_ctzll(left);

		for (unsigned n = next + 1; n < m->n_nodes; n++)
			if (left >> n & 1 && rank_of(node, id, n) < rank_of(node, id, next))
				next = n;
		append_zones(m, node, next);
		left &= ~((uint64_t)1 << next);
	}
}

unsigned
gw_nearest_node(const struct gw_machine *m, unsigned node, uint64_t nodes)
{
	const uint8_t *distance = m->nodes[node].distance;
	unsigned nearest = (unsigned)__builtin_ctzll(nodes);

	for (unsigned n = nearest + 1; n < m->n_nodes; n++)
		if (nodes >> n & 1 && distance[n] < distance[nearest])
			nearest = n;
	return nearest;
}

/* ---- tiers ---- */

static uint64_t
nearest_nodes(const struct gw_machine *m, unsigned node, uint64_t nodes)
{
	const uint8_t *distance = m->nodes[node].distance;
	unsigned least = nodes ? distance[gw_nearest_node(m, node, nodes)] : 0;
	uint64_t nearest = 0;

	for (unsigned n = 0; n < m->n_nodes; n++)
		if (nodes >> n & 1 && distance[n] == least)
			nearest |= (uint64_t)1 << n;
	return nearest;
}

static void
init_demotion(struct gw_machine *m, unsigned id)
{
	struct gw_node *node = &m->nodes[id];
	unsigned next = 0;
	uint64_t next_nodes = 0;

	for (unsigned n = 0; n < m->n_nodes; n++) {
		unsigned tier = m->nodes[n].tier;

		if (tier <= node->tier || !(m->memory_nodes >> n & 1))
			continue;
		node->lower |= (uint64_t)1 << n;
		if (!next_nodes || tier < next)
			next_nodes = 0;
		if (!next_nodes || tier == next) {
			next = tier;
			next_nodes |= (uint64_t)1 << n;
		}
	}
	node->demotion_targets = nearest_nodes(m, id, next_nodes);
}

static void
init_tiers(struct gw_machine *m, const struct gw_machine_config *config)
{
	unsigned top = 0;

	for (unsigned n = 0; n < m->n_nodes; n++) {
		unsigned adistance = config->adistances ? config->adistances[n] : GW_ADISTANCE_DRAM;

		m->nodes[n].tier = adistance / GW_ADISTANCE_CHUNK;
	}
	for (unsigned cpu = 0; cpu < m->config.n_cpus; cpu++)
		if (m->nodes[m->cpu_nodes[cpu]].tier > top)
			top = m->nodes[m->cpu_nodes[cpu]].tier;
	for (unsigned n = 0; n < m->n_nodes; n++) {
		m->nodes[n].top_tier = m->nodes[n].tier <= top;
		init_demotion(m, n);
	}
}

/* ---- all of it ---- */

static unsigned
distance_of(const struct gw_machine_config *config, unsigned n_nodes, unsigned from, unsigned to)
{
	if (config->distances)
		return config->distances[from * n_nodes + to];
	return from == to ? GW_DISTANCE_LOCAL : GW_DISTANCE_REMOTE;
}

void
gw_topology_init(struct gw_machine *m, const struct gw_machine_config *config)
{
	for (unsigned z = 0; z < m->n_zones; z++)
		m->memory_nodes |= (uint64_t)1 << m->zones[z].node;
	for (unsigned cpu = 0; cpu < m->config.n_cpus; cpu++)
		m->cpu_nodes[cpu] = config->cpu_nodes ? (uint8_t)config->cpu_nodes[cpu] : 0;
	for (unsigned n = 0; n < m->n_nodes; n++) {
		struct gw_node *node = &m->nodes[n];

		gw_u32_store_relaxed(&node->weight, 1);
		for (unsigned order = 0; order < GW_HUGETLB_ORDERS; order++)
			gw_page_list_init(&node->hugetlb[order].free);
		for (unsigned to = 0; to < m->n_nodes; to++)
			node->distance[to] = (uint8_t)distance_of(config, m->n_nodes, n, to);
		init_zonelist(m, n);
	}
	init_tiers(m, config);
}

/* ---- asking ---- */

unsigned
gw_machine_nodes(const struct gw_machine *m)
{
	return m->n_nodes;
}

unsigned
gw_node_distance(const struct gw_machine *m, unsigned from, unsigned to)
{
	return m->nodes[from].distance[to];
}

unsigned
gw_node_tier(const struct gw_machine *m, unsigned node)
{
	return m->nodes[node].tier;
}

bool
gw_node_is_top_tier(const struct gw_machine *m, unsigned node)
{
	return m->nodes[node].top_tier;
}

uint64_t
gw_node_demotion_targets(const struct gw_machine *m, unsigned node)
{
	return m->nodes[node].demotion_targets;
}

unsigned
gw_cpu_node(const struct gw_machine *m, unsigned cpu)
{
	return m->cpu_nodes[cpu];
}
