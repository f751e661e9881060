/* SPDX-License-Identifier: MIT */
/* table.c - all scenarios, in order of their names. */
#include "explore/scenarios/scenarios.h"

const struct gw_explore_scenario *const gw_explore_scenarios[] = {
	&gw_scenario_anon_stays_anon,
	&gw_scenario_anon_vma_refcount,
	&gw_scenario_atomic_counters,
	&gw_scenario_buddy_order_clamp,
	&gw_scenario_charge_before_put,
	&gw_scenario_fault_extra_reference,
	&gw_scenario_faulters,
	&gw_scenario_fork_tail_order,
	&gw_scenario_fork_write_entry,
	&gw_scenario_freeze_under_lock,
	&gw_scenario_local_lru_drain,
	&gw_scenario_mapped_recheck,
	&gw_scenario_misplaced_preconditions,
	&gw_scenario_mremap_pte_lock,
	&gw_scenario_newpage_trylock,
	&gw_scenario_no_touch_after_drop,
	&gw_scenario_put_and_wait,
	&gw_scenario_put_new_page_once,
	&gw_scenario_reclaim_wakes,
	&gw_scenario_refault,
	&gw_scenario_single_remap,
	&gw_scenario_stack_growth,
	&gw_scenario_temporary_stack,
	&gw_scenario_too_many_isolated,
	&gw_scenario_unmapped_swapcache,
	&gw_scenario_zap_does_not_restore,
	NULL,
};
