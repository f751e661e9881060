/* SPDX-License-Identifier: MIT */
/*
 * daemon.c - a node's background tasks sleep until somebody wants something.
 *
 * Idea. A word says whether anybody has asked: IDLE is set before a round begins and cleared by
 * whoever wants one, so that a wish made while a round runs is another round. The largest order
 * that was wished for since the last round goes along with it.
 */
#include "engine/phys/phys.h"

#define IDLE	0x1u
#define WAITERS 0x2u
#define STOP	0x4u
#define WORKING 0x8u

void
gw_daemon_wake(struct gw_machine *m, struct gw_daemon *d)
{
	/* release: who sets it again, sees why it was cleared */
	if (gw_u32_and_release(&d->state, ~IDLE) & WAITERS)
		gw_bit_wake(&m->page_waits, &d->state, IDLE, WAITERS);
}

void
gw_daemon_ask(struct gw_machine *m, struct gw_daemon *d, unsigned order)
{
	uint32_t wish = gw_u32_load_relaxed(&d->wish);

	while (wish < order + 1 && !gw_u32_cas_relaxed(&d->wish, &wish, order + 1))
		;
	gw_daemon_wake(m, d);
}

bool
gw_daemon_take_wish(struct gw_daemon *d, unsigned *order)
{
	uint32_t wish = gw_u32_xchg_acq_rel(&d->wish, 0);

	*order = wish ? wish - 1 : 0;
	return wish > 0;
}

void
gw_daemon_run(struct gw_machine *m, struct gw_daemon *d, unsigned node,
	void (*one_round)(struct gw_machine *m, unsigned node))
{
	while (!(gw_u32_or_acquire(&d->state, IDLE) & STOP)) {
		one_round(m, node);
		gw_flag_wait(&m->page_waits, &d->state, IDLE, WAITERS);
	}
	gw_u32_and_relaxed(&d->state, ~(STOP | IDLE));
}

void
gw_daemon_stop(struct gw_machine *m, struct gw_daemon *d)
{
	gw_u32_or_relaxed(&d->state, STOP);
	gw_daemon_wake(m, d);
}

void
gw_daemon_set_working(struct gw_daemon *d, bool working)
{
	if (working)
		gw_u32_or_relaxed(&d->state, WORKING);
	else
		gw_u32_and_relaxed(&d->state, ~WORKING);
}

bool
gw_daemon_is_working(const struct gw_daemon *d)
{
	return gw_u32_load_relaxed(&d->state) & WORKING;
}
