/* SPDX-License-Identifier: MIT */
/*
 * lock.c - spinlocks, mutexes and read-write locks.
 *
 * Idea. A lock is who is inside. Anybody who can go in may: that writers go before new readers is
 * not modelled, so more schedules are tried than threads would run.
 */
#include "engine/sync/sync.h"

const struct gw_x_lock_kind gw_x_spin = {"spin_lock", false, true};
const struct gw_x_lock_kind gw_x_mutex = {"mutex_lock", false, false};
const struct gw_x_lock_kind gw_x_read = {"read_lock", true, false};
const struct gw_x_lock_kind gw_x_write = {"write_lock", false, false};

static const char *
unlock_name(const struct gw_x_lock_kind *kind)
{
	if (kind == &gw_x_spin)
		return "spin_unlock";
	if (kind == &gw_x_mutex)
		return "mutex_unlock";
	return kind->reads ? "read_unlock" : "write_unlock";
}

void
gw_x_lock_init(struct gw_x_lock *l, enum gw_lock_rank rank)
{
	l->readers = 0;
	l->writer = false;
	l->rank = (uint8_t)rank;
}

static bool
can_read(void *arg)
{
	const struct gw_x_lock *l = arg;

	return !l->writer;
}

static bool
can_write(void *arg)
{
	const struct gw_x_lock *l = arg;

	return !l->writer && l->readers == 0;
}

static void
take(struct gw_x_lock *l, const struct gw_x_lock_kind *kind, unsigned how)
{
	/* Readers commute with each other. */
	gw_sched_access(
		l, sizeof(*l), (kind->reads ? GW_ADDS : GW_CHANGES) | GW_TAKES | GW_LOCKING | how);
	if (kind->reads)
		l->readers++;
	else
		l->writer = true;
	gw_lock_note((enum gw_lock_rank)l->rank, kind->spins);
}

void
gw_x_lock(struct gw_x_lock *l, const struct gw_x_lock_kind *kind, const char *func, int line)
{
	if (!kind->spins)
		gw_might_sleep();
	gw_lock_check((enum gw_lock_rank)l->rank);
	gw_sched_point_op(&(struct gw_sched_op){
		.name = kind->name,
		.object = l,
		.func = func,
		.line = line,
		.ready = kind->reads ? can_read : can_write,
		.arg = l,
	});
	take(l, kind, GW_WAITED);
}

bool
gw_x_trylock(struct gw_x_lock *l, const struct gw_x_lock_kind *kind, const char *func, int line)
{
	gw_sched_point("trylock", l, func, line);
	if (!(kind->reads ? can_read(l) : can_write(l))) {
		gw_sched_access(l, sizeof(*l), GW_SEES | GW_LOCKING);
		GW_SCHED_DETAIL("failed");
		return false;
	}
	take(l, kind, 0);
	return true;
}

void
gw_x_unlock(struct gw_x_lock *l, const struct gw_x_lock_kind *kind, const char *func, int line)
{
	gw_sched_point(unlock_name(kind), l, func, line);
	gw_sched_access(l, sizeof(*l), (kind->reads ? GW_ADDS : GW_CHANGES) | GW_LOCKING);
	gw_lock_forget((enum gw_lock_rank)l->rank, kind->spins);
	if (kind->reads ? l->readers == 0 : !l->writer)
		gw_sync_bug("a lock was given back that nobody held");
	if (kind->reads)
		l->readers--;
	else
		l->writer = false;
}
