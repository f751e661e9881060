/* SPDX-License-Identifier: MIT */
/*
 * trigger.c - compaction on demand: everything (D14), or one node (D15).
 *
 * Idea. Somebody asked and will wait: whole zones, SYNC, hints ignored, and the LRU batches of
 * all CPUs drained first, once (D22). These runs are not counted as stalls (FACTS 3.4).
 */
#include <errno.h>

#include "engine/compact/compact_internal.h"
#include "engine/migrate/isolate.h"

static void
compact_zones(struct gw_machine *m, bool all, unsigned node)
{
	const struct gw_compact_request request = {
		.order = -1,
		.mode = GW_MIGRATE_SYNC,
		.whole_zone = true,
		.ignore_skip = true,
	};

	gw_migrate_prep(m);
	for (unsigned z = 0; z < m->n_zones && !gw_compact_interrupted(); z++)
		if (all || m->zones[z].node == node)
			gw_compact_zone(m, z, &request, NULL);
}

void
gw_compact_all_zones(struct gw_machine *m)
{
	compact_zones(m, true, 0);
}

int
gw_compact_node(struct gw_machine *m, unsigned node)
{
	bool present = false;

	for (unsigned z = 0; z < m->n_zones; z++)
		present = present || m->zones[z].node == node;
	if (!present)
		return -EINVAL;
	compact_zones(m, false, node);
	return 0;
}
