/* SPDX-License-Identifier: MIT */
/*
 * schedule.c - schedules as text: a letter for the task, the number of its steps (1 is left out).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "explore/explore_internal.h"

int
gw_x_schedule_add(struct gw_x_schedule *s, unsigned task, uint32_t n)
{
	uint32_t room = (uint32_t)s->room;

	if (s->n && s->parts[s->n - 1].task == task) {
		s->parts[s->n - 1].n += n;
		return 0;
	}
	if (!gw_x_grow(&s->parts, &room, (uint32_t)s->n, sizeof(*s->parts)))
		return -ENOMEM;
	s->room = room;
	s->parts[s->n++] = (struct gw_x_part){.task = task, .n = n};
	return 0;
}

/* In all: parts of one task that follow each other are added. */
#define STEPS_MAX (UINT32_MAX / 2)

int
gw_x_schedule_parse(const char *text, unsigned n_tasks, struct gw_x_schedule *out)
{
	uint64_t left = STEPS_MAX;

	while (*text) {
		unsigned task = (unsigned)(*text++ - 'a');
		unsigned long n = 1;

		if (task >= n_tasks)
			return -EINVAL;
		if (*text >= '0' && *text <= '9') {
			char *end;

			n = strtoul(text, &end, 10);
			text = end;
		}
		if (n == 0 || n > left)
			return -EINVAL;
		left -= n;
		if (gw_x_schedule_add(out, task, (uint32_t)n))
			return -ENOMEM;
	}
	return 0;
}

int
gw_x_schedule_of_run(const struct gw_explorer *x, struct gw_x_schedule *out)
{
	uint32_t n = x->n_events;

	while (n > 0 && x->nodes[n - 1].usual == x->events[n - 1].task)
		n--;
	for (uint32_t i = 0; i < n; i++)
		if (gw_x_schedule_add(out, x->events[i].task, 1))
			return -ENOMEM;
	return 0;
}

char *
gw_x_schedule_text(const struct gw_x_schedule *s)
{
	size_t size = s->n * 12 + 1, at = 0;
	char *text = malloc(size);

	if (!text)
		return NULL;
	text[0] = 0;
	for (size_t i = 0; i < s->n; i++) {
		text[at++] = (char)('a' + s->parts[i].task);
		text[at] = 0;
		if (s->parts[i].n > 1)
			at += (size_t)snprintf(text + at, size - at, "%u", s->parts[i].n);
	}
	return text;
}

void
gw_x_schedule_free(struct gw_x_schedule *s)
{
	free(s->parts);
	*s = (struct gw_x_schedule){0};
}
