/* SPDX-License-Identifier: MIT */
/*
 * defer.c - after a failure, compaction of a zone is put off exponentially (D19, D20).
 *
 * Idea. Tries are counted, not seconds: after the n-th failure in a row 2^n - 1 tries are turned
 * away and the next one runs, with n up to GW_DEFER_SHIFT_MAX. The document says "skip
 * 2^n tries"; today's kernel, and this, skips one fewer. Only orders that failed before are put
 * off.
 */
#include "engine/compact/compact_internal.h"
#include "engine/phys/probe.h"

bool
gw_compact_deferred(struct gw_machine *m, unsigned zone, unsigned order)
{
	struct gw_compact_state *state = &m->zones[zone].compact;
	unsigned limit;
	bool deferred = false;

	gw_spin_lock(&m->zones[zone].lock);
	limit = 1u << state->defer_shift;
	if ((int)order >= state->order_failed) {
		if (state->considered < limit)
			state->considered++;
		deferred = state->considered < limit;
	}
	gw_spin_unlock(&m->zones[zone].lock);
	return deferred;
}

void
gw_compact_defer(struct gw_machine *m, unsigned zone, unsigned order)
{
	struct gw_compact_state *state = &m->zones[zone].compact;

	gw_spin_lock(&m->zones[zone].lock);
	state->considered = 0;
	if (state->defer_shift < GW_DEFER_SHIFT_MAX)
		state->defer_shift++;
	if ((int)order < state->order_failed)
		state->order_failed = (int)order;
	GW_PROBE4(mm_compaction_defer_compaction, zone, order, state->defer_shift,
		state->order_failed);
	gw_spin_unlock(&m->zones[zone].lock);
}

void
gw_compact_defer_reset(struct gw_machine *m, unsigned zone, unsigned order, bool success)
{
	struct gw_compact_state *state = &m->zones[zone].compact;

	gw_spin_lock(&m->zones[zone].lock);
	if (success) {
		state->considered = 0;
		state->defer_shift = 0;
	}
	if ((int)order >= state->order_failed)
		state->order_failed = (int)order + 1;
	GW_PROBE3(mm_compaction_defer_reset, zone, order, success);
	gw_spin_unlock(&m->zones[zone].lock);
}

/* The longest deferral is over: the hints of before it say little about now. */
bool
gw_compact_restarting(struct gw_machine *m, unsigned zone, unsigned order)
{
	struct gw_compact_state *state = &m->zones[zone].compact;
	bool restarting;

	gw_spin_lock(&m->zones[zone].lock);
	restarting = (int)order >= state->order_failed &&
		     state->defer_shift == GW_DEFER_SHIFT_MAX &&
		     state->considered >= 1u << state->defer_shift;
	gw_spin_unlock(&m->zones[zone].lock);
	return restarting;
}
