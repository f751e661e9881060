/* SPDX-License-Identifier: MIT */
/*
 * numa.h - memory nodes: how far apart they are, which are slow, and pages that follow their users.
 *
 * Idea. Zones belong to nodes (struct gw_zone_config) and CPUs do (struct gw_machine_config). Nodes
 * are grouped into tiers by their abstract distance, in chunks of 128: a higher tier number is
 * slower memory. The top tiers are those up to the slowest one that has CPUs (FACTS 2.3). What
 * moves pages between nodes by itself is off until gw_machine_set_numa() says otherwise:
 *   migrate on fault  a page of a cache that nobody maps, met by a fault, goes to the node that the
 *                     policy wants it on (FACTS 1.7)
 *   balancing         a scan makes entries hinting; the fault that follows tells who uses the page,
 *                     which then may follow him, or be promoted from a slow tier
 *   demotion          reclaim moves cold pages to a lower tier instead of swapping them
 *
 * Invariants
 *   U1  pages move to a node by these only if its zones stay above their high watermarks
 *       (balancing), or out of free memory without waiting (the others): no page of another is
 *       reclaimed for them by the task that asks
 */
#ifndef GODWIT_NUMA_H
#define GODWIT_NUMA_H

#include "types.h"

struct gw_mm;

#define GW_DISTANCE_LOCAL  10
#define GW_DISTANCE_REMOTE 20  /* the default between two nodes */
#define GW_ADISTANCE_DRAM  576 /* abstract distance of ordinary memory: tier 4, as on Linux */
#define GW_ADISTANCE_CHUNK 128 /* of one tier */

/* The machine's nodes are numbered from 0. Any thread, all of these. */
unsigned gw_machine_nodes(const struct gw_machine *m);
/* 10 .. 255; both below gw_machine_nodes(). */
unsigned gw_node_distance(const struct gw_machine *m, unsigned from, unsigned to);
unsigned gw_node_tier(const struct gw_machine *m, unsigned node);
bool gw_node_is_top_tier(const struct gw_machine *m, unsigned node);
/* Nodes of the next lower tier that are nearest to `node`, as a set; 0: there is no lower tier. */
uint64_t gw_node_demotion_targets(const struct gw_machine *m, unsigned node);
unsigned gw_cpu_node(const struct gw_machine *m, unsigned cpu);

/* kernel.numa_balancing: both may be set. */
#define GW_BALANCING_NORMAL  0x1 /* pages follow the CPUs that use them */
#define GW_BALANCING_TIERING 0x2 /* hot pages are promoted from lower tiers */

struct gw_numa_tunables {
	bool migrate_on_fault; /* document E */
	bool demotion;
	unsigned balancing; /* GW_BALANCING_*; 0: off */
	/* Milliseconds: to an address space's first scan; between scans, adapted in these bounds.
	 */
	unsigned scan_delay_ms, scan_period_min_ms, scan_period_max_ms;
	unsigned scan_size_mb; /* of the address space, a scan */
	/* Tiering: a page is hot if it is used so soon after its scan. */
	unsigned hot_threshold_ms;
	unsigned promote_rate_limit_mbps; /* MB (2^20 bytes) a second, of each node promoted to */
	/* MB free above the node's promotion watermark with which it takes whatever is used, hot or
	 * not, without that limit; at least a sixteenth of its memory. */
	unsigned promote_freely_mb;
};

/* Linux's defaults, everything off. */
void gw_numa_tunables_init(struct gw_numa_tunables *tunables);
/* From now on. The machine is idle. 0; -EINVAL (unknown bits of balancing, a period of 0 or a
 * minimum above its maximum, a size of 0); -ENOMEM, with nothing changed. */
GW_MUST_CHECK int gw_machine_set_numa(
	struct gw_machine *m, const struct gw_numa_tunables *tunables);

/*
 * What a task does on a tick of its CPU's timer: if the address space's time for it has come by the
 * machine's clock, make the next scan_size_mb of it hinting, a huge page by one entry. Returns
 * frames whose entries changed. Any attached task that holds no locks; several at once are fine:
 * one of them scans. Sleeps.
 */
uint64_t gw_numa_scan(struct gw_mm *mm);

#endif
