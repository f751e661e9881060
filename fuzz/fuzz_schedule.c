/* SPDX-License-Identifier: MIT */
/*
 * fuzz_schedule.c - any text as a schedule (`godwit check --schedule`): refused, or one that is the
 * same when it is printed and parsed again.
 *
 * The first byte says how many tasks there are.
 */
#include "fuzz.h"

#include <errno.h>
#include <string.h>

#include "explore/schedule.h"

/* Tasks that there are, each with steps, and no task twice in a row: the shortest text for it. */
static void
check_schedule(const struct gw_x_schedule *s, unsigned n_tasks)
{
	for (size_t i = 0; i < s->n; i++) {
		FUZZ_CHECK(s->parts[i].task < n_tasks && s->parts[i].n > 0);
		FUZZ_CHECK(i == 0 || s->parts[i].task != s->parts[i - 1].task);
	}
}

static void
check_round_trip(const struct gw_x_schedule *s, unsigned n_tasks)
{
	struct gw_x_schedule again = {0};
	char *text = gw_x_schedule_text(s);

	FUZZ_CHECK(text);
	FUZZ_CHECK(gw_x_schedule_parse(text, n_tasks, &again) == 0);
	FUZZ_CHECK(again.n == s->n);
	for (size_t i = 0; i < s->n; i++)
		FUZZ_CHECK(again.parts[i].task == s->parts[i].task &&
			   again.parts[i].n == s->parts[i].n);
	gw_x_schedule_free(&again);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gw_x_schedule schedule = {0};
	unsigned n_tasks = size ? data[0] % GW_EXPLORE_TASKS + 1 : 1;
	char *text = size ? strndup((const char *)data + 1, size - 1) : strdup("");
	int ret;

	FUZZ_CHECK(text);
	ret = gw_x_schedule_parse(text, n_tasks, &schedule);
	FUZZ_CHECK(ret == 0 || ret == -EINVAL);
	if (ret == 0) {
		check_schedule(&schedule, n_tasks);
		check_round_trip(&schedule, n_tasks);
	}
	gw_x_schedule_free(&schedule);
	free(text);
	return 0;
}
