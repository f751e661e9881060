/* SPDX-License-Identifier: MIT */
/*
 * demote.h - what reclaim asks of migration: struct gw_numa_ops.demote.
 */
#ifndef GW_ENGINE_MIGRATE_DEMOTE_H
#define GW_ENGINE_MIGRATE_DEMOTE_H

#include "engine/phys/phys.h"

uint64_t gw_demote(struct gw_machine *m, unsigned node, struct gw_page_list *list);

#endif
