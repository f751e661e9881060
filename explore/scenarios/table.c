/* SPDX-License-Identifier: MIT */
/* table.c - all scenarios, in order of their names. */
#include "explore/scenarios/scenarios.h"

const struct gw_explore_scenario *const gw_explore_scenarios[] = {
	&gw_scenario_balloon_lock,
	&gw_scenario_fault_extra_reference,
	&gw_scenario_ksm_follow_waits,
	&gw_scenario_ksm_walk_lock,
	&gw_scenario_misplaced_preconditions,
	&gw_scenario_put_and_wait,
	NULL,
};
