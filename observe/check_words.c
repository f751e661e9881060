/* SPDX-License-Identifier: MIT */
/*
 * check_words.c - how far a search looked and what it found, in words.
 *
 * Idea. A search that was cut off never reads like one that ran to its end.
 */
#include <stdarg.h>
#include <string.h>

#include "observe/check.h"
#include "observe/report.h"

const char *
gw_check_search_name(enum gw_explore_search search)
{
	static const char *const names[] = {
		[GW_EXPLORE_DPOR] = "dpor",
		[GW_EXPLORE_PREEMPT] = "preempt",
		[GW_EXPLORE_PCT] = "pct",
		[GW_EXPLORE_BRUTE] = "brute",
	};

	return names[search];
}

const char *
gw_check_extent_name(enum gw_explore_extent extent)
{
	static const char *const names[] = {
		[GW_EXPLORE_EXHAUSTED] = "exhausted",
		[GW_EXPLORE_BOUNDED] = "bounded",
		[GW_EXPLORE_SAMPLED] = "sampled",
		[GW_EXPLORE_REPLAYED] = "replayed",
	};

	return names[extent];
}

const char *
gw_check_era_name(enum gw_wait_era era)
{
	static const char *const names[] = {
		[GW_ERA_HOLD] = "hold",
		[GW_ERA_DROP] = "drop",
		[GW_ERA_NONE] = "none",
	};

	return names[era];
}

/* Append; what does not fit is left out. */
static void GW_PRINTF(3, 4) add(char *out, size_t size, const char *format, ...)
{
	size_t n = strlen(out);
	va_list ap;

	va_start(ap, format);
	vsnprintf(out + n, size - n, format, ap);
	va_end(ap);
}

void
gw_check_fixes(uint64_t fixes, char *out, size_t size)
{
	out[0] = '\0';
	for (unsigned f = 0; f < GW_FIX_NR; f++)
		if (fixes & GW_WITHOUT(f))
			add(out, size, "%s%s", out[0] ? ", " : "", gw_fixes[f].name);
}

static void
add_search(const struct gw_check_search *s, char *out, size_t size)
{
	const struct gw_text_piece runs = gw_text_count(s->runs);

	switch (s->extent) {
	case GW_EXPLORE_EXHAUSTED:
		add(out, size, "exhausted: every interleaving, %s runs in %.2f s", runs.s,
			s->seconds);
		break;
	case GW_EXPLORE_BOUNDED:
		add(out, size, "bounded: at most %u preemption%s, %s runs in %.2f s", s->bound,
			s->bound == 1 ? "" : "s", runs.s, s->seconds);
		break;
	case GW_EXPLORE_SAMPLED:
		add(out, size, "sampled: %s runs by %s in %.2f s, then stopped", runs.s,
			gw_check_search_name(s->search), s->seconds);
		break;
	default:
		add(out, size, "replayed one schedule");
		break;
	}
}

void
gw_check_looked(const struct gw_check *check, char *out, size_t size)
{
	out[0] = '\0';
	for (unsigned i = 0; i < check->n_searches; i++) {
		const struct gw_check_search *s = &check->searches[i];
		const struct gw_check_search *last = &check->searches[check->n_searches - 1];

		if (last->extent == GW_EXPLORE_EXHAUSTED && s != last)
			continue; /* nothing is left to say about it */
		add(out, size, "%s", out[0] ? "; " : "");
		add_search(s, out, size);
	}
}

void
gw_check_broke(const struct gw_check *check, char *out, size_t size)
{
	const char *story = check->scenario->story;

	snprintf(out, size, "%s: %s", gw_explore_kind_name(check->result.kind),
		check->result.message);
	if (story)
		add(out, size, ". The story: %s.", story);
}
