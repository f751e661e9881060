/* SPDX-License-Identifier: MIT */
/*
 * machine.c - the end of a machine, and its check, with what engine/store adds to both.
 */
#include "engine/store/mapping_internal.h"
#include "engine/store/swap_internal.h"
#include "engine/virt/ksm.h"

void
gw_machine_destroy(struct gw_machine *m)
{
	if (!m)
		return;
	gw_swap_destroy(m);
	gw_rcu_barrier(); /* deferred frees go through m->ops */
	gw_phys_destroy(m);
}

unsigned
gw_machine_check(struct gw_machine *m, void (*report)(void *ctx, const char *line), void *ctx)
{
	struct gw_findings findings = {.report = report, .ctx = ctx};

	gw_phys_check(m, &findings);
	gw_swap_check(m, &findings);
	gw_cache_check(m, &findings);
	gw_ksm_check(m, &findings);
	return findings.n;
}
