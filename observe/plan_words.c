/* SPDX-License-Identifier: MIT */
/*
 * plan_words.c - a plan in sentences, the same in text, JSON and on the page.
 */
#include <stdarg.h>

#include "report_internal.h"

struct gw_text_piece
gw_sentence(const char *fmt, ...)
{
	struct gw_text_piece t;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t.s, sizeof t.s, fmt, ap);
	va_end(ap);
	return t;
}

struct gw_text_piece
gw_plan_answer(const struct gw_plan *p)
{
	const uint64_t before = p->total.available_before, after = p->total.available_after;
	const uint64_t count = p->request.count, wanted = count ? count : after;
	const struct gw_text_piece size = gw_text_frames(UINT64_C(1) << p->request.order);
	const struct gw_text_piece what =
		gw_text_blocks(p->request.order, p->pageblock_order, wanted);

	if (count > 0 && !p->enough)
		return gw_sentence("No: %s %s of %s cannot be had, only %s; %s free now.",
			gw_text_count(count).s, what.s, size.s, gw_text_count(after).s,
			gw_text_count(before).s);
	return gw_sentence("%s%s %s of %s can be had; %s free now.", count > 0 ? "Yes: " : "",
		gw_text_count(wanted).s, what.s, size.s, gw_text_count(before).s);
}

struct gw_text_piece
gw_plan_cost(const struct gw_plan *p)
{
	const uint64_t scanned = p->total.migrate_scanned + p->total.free_scanned;

	if (scanned + p->total.pages_migrated == 0)
		return gw_sentence("No page needs to be moved for that.");
	return gw_sentence(
		"%s moves %s pages (%s copied) and scans %s frames: about %.2f seconds, at %s ns "
		"a page moved and %s ns a frame scanned.",
		p->request.planner == GW_PLANNER_EVACUATE ? "Evacuating the cheapest pageblocks"
							  : "Compaction",
		gw_text_count(p->total.pages_migrated).s, gw_text_bytes(p->bytes_copied).s,
		gw_text_count(scanned).s, p->seconds_estimate,
		gw_text_count(p->request.ns_per_page).s,
		gw_text_count(p->request.ns_per_scanned).s);
}

struct gw_text_piece
gw_plan_help(const struct gw_plan *p)
{
	const uint64_t with = p->available_if_clean_dropped;
	const struct gw_text_piece clean = gw_text_frames(p->reclaimable_frames);

	if (p->enough || p->request.count == 0)
		return gw_sentence("%s", "");
	if (!p->tried_clean)
		return gw_sentence("Nothing that can be moved or reclaimed would give more.");
	if (with >= p->request.count)
		return gw_sentence(
			"What would help: dropping clean page cache first (%s that nobody maps) "
			"gives %s, which is enough (--reclaim clean).",
			clean.s, gw_text_count(with).s);
	if (with > p->total.available_after)
		return gw_sentence(
			"Dropping clean page cache first (%s that nobody maps, --reclaim clean) "
			"gives %s: more, but not enough.",
			clean.s, gw_text_count(with).s);
	return gw_sentence(
		"Dropping clean page cache first (%s that nobody maps) gives no more: nothing that "
		"can be moved or reclaimed would help.",
		clean.s);
}
