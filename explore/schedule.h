/* SPDX-License-Identifier: MIT */
/* schedule.h - schedules, which outside data may be (`godwit check --schedule`), and their text. */
#ifndef GW_EXPLORE_SCHEDULE_H
#define GW_EXPLORE_SCHEDULE_H

#include "godwit/explore.h"

/* A part of a schedule: steps of one task. */
struct gw_x_part {
	uint32_t task, n;
};

/* Zero is an empty one. */
struct gw_x_schedule {
	struct gw_x_part *parts;
	size_t n, room;
};

/*
 * Add the text's parts to *out, which is to be freed in any case. 0; -EINVAL: a task of n_tasks or
 * above, a part of no steps, more than 2^31 - 1 steps in all; -ENOMEM.
 */
GW_MUST_CHECK int gw_x_schedule_parse(
	const char *text, unsigned n_tasks, struct gw_x_schedule *out);
/* Steps of the last part's task become part of it. 0 or -ENOMEM. */
GW_MUST_CHECK int gw_x_schedule_add(struct gw_x_schedule *s, unsigned task, uint32_t n);
/* NULL: no memory. The caller frees it. */
char *gw_x_schedule_text(const struct gw_x_schedule *s);
void gw_x_schedule_free(struct gw_x_schedule *s);

#endif
