/* SPDX-License-Identifier: MIT */
/*
 * topology.h - a machine's nodes, as its making needs them.
 */
#ifndef GW_ENGINE_PHYS_TOPOLOGY_H
#define GW_ENGINE_PHYS_TOPOLOGY_H

#include "engine/phys/phys.h"

/* Writes why a config is no good, if anybody asks: -EINVAL. */
int GW_PRINTF(2, 3) gw_refuse(struct gw_error *err, const char *format, ...);

/* How many nodes the zones have. */
unsigned gw_config_nodes(const struct gw_machine_config *config);
/* 0 or -EINVAL; the zones are good. */
int gw_topology_check(const struct gw_machine_config *config, struct gw_error *err);
/* Distances, CPUs, zonelists and tiers of a machine whose zones are made. */
void gw_topology_init(struct gw_machine *m, const struct gw_machine_config *config);

#endif
