/* SPDX-License-Identifier: MIT */
/*
 * names.c - what an address is called in a timeline.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "explore/explore_internal.h"

void
gw_explore_name(const void *address, size_t bytes, const char *name)
{
	struct gw_explorer *x = gw_x_now();
	uint32_t room = (uint32_t)x->room_names;

	if (!gw_x_grow(&x->names, &room, (uint32_t)x->n_names, sizeof(*x->names)))
		return; /* then it has none */
	x->room_names = room;
	x->names[x->n_names++] =
		(struct gw_x_name){.start = (uintptr_t)address, .bytes = bytes, .name = name};
}

static const struct gw_x_name *
find(const struct gw_explorer *x, uintptr_t address)
{
	const struct gw_x_name *best = NULL;

	for (size_t i = 0; i < x->n_names; i++) {
		const struct gw_x_name *name = &x->names[i];

		if (address - name->start < name->bytes && (!best || name->bytes < best->bytes))
			best = name;
	}
	return best;
}

/* A block of the arena, by who allocated it and where it lies. */
static void
block_name(const struct gw_explorer *x, uintptr_t address, char *out, size_t size)
{
	for (unsigned i = 0; i < GW_X_REGIONS; i++) {
		const struct gw_x_region *r = &x->arena.regions[i];
		size_t at = address - (uintptr_t)r->start;

		if (at >= r->bytes)
			continue;
		if (i >= GW_X_REGION_TASK && i < GW_X_REGION_ALONE)
			snprintf(out, size, "%s's +%#zx",
				x->scenario->tasks[i - GW_X_REGION_TASK].name, at);
		else if (address - (uintptr_t)x->state < x->scenario->state_size)
			snprintf(out, size, "state+%zu", (size_t)(address - (uintptr_t)x->state));
		else
			snprintf(out, size, "+%#zx", at);
		return;
	}
	snprintf(out, size, "%#zx", (size_t)address);
}

static bool
task_name(const struct gw_explorer *x, uintptr_t address, char *out, size_t size)
{
	for (unsigned t = 0; t < x->n_tasks; t++) {
		if (address - (uintptr_t)&x->sched.fibers[t].own >= sizeof(struct gw_task))
			continue;
		snprintf(out, size, "task %s", x->scenario->tasks[t].name);
		return true;
	}
	return false;
}

void
gw_x_object_name(const struct gw_explorer *x, uintptr_t address, char *out, size_t size)
{
	const struct gw_x_name *name = find(x, address);

	out[0] = 0;
	if (!address)
		return;
	if (name && address == name->start)
		snprintf(out, size, "%s", name->name);
	else if (name)
		snprintf(out, size, "%s+%zu", name->name, (size_t)(address - name->start));
	else if (address - (uintptr_t)&x->sched.deferred_first < sizeof(void *))
		snprintf(out, size, "RCU");
	else if (!task_name(x, address, out, size)) {
		gw_x_machine_name(x, address, out, size);
		if (!out[0])
			block_name(x, address, out, size);
	}
}
