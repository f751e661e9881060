/* SPDX-License-Identifier: MIT */
/*
 * report_range.c - plans for a range and for gigantic pages, in text.
 *
 * Idea. The answer first, then what it would cost, then each kind of page in the way with what
 * could help, and where the first of them are: what the kernel's "Device or resource busy" does not
 * say.
 */
#include "report_internal.h"

#define BLOCKERS_SHOWN 10
#define BLOCKED_SHOWN  8 /* places that cannot be had; all others are shown */

/* "1 page", "2 pages". */
static struct gw_text_piece
pages(uint64_t n)
{
	return gw_sentence("%s page%s", gw_text_count(n).s, n == 1 ? "" : "s");
}

static struct gw_text_piece
where(const struct gw_range_plan *p)
{
	if (!p->zone[0])
		return gw_sentence("Frames 0x%x to 0x%x (%s)", p->start, p->end,
			gw_text_frames(p->end - p->start).s);
	return gw_sentence("Frames 0x%x to 0x%x (%s of node %d, zone %s)", p->start, p->end,
		gw_text_frames(p->end - p->start).s, p->node, gw_text_clean(p->zone, 16).s);
}

/* Why a range cannot be had, as a clause. */
static struct gw_text_piece
why_not(const struct gw_range_plan *p)
{
	if (p->refused[0])
		return gw_sentence("%.200s", p->refused);
	if (p->blocked)
		return gw_sentence("%s of its pages stand%s in the way",
			gw_text_count(p->blocked).s, p->blocked == 1 ? "s" : "");
	return gw_sentence("%s would have to move, and there is room for %s", pages(p->movable).s,
		gw_text_count(p->room).s);
}

struct gw_text_piece
gw_offline_answer(const struct gw_range_plan *p)
{
	if (p->possible)
		return gw_sentence("Yes: %.120s can be taken offline.", where(p).s);
	return gw_sentence("No: %.100s cannot be taken offline: %.130s.", where(p).s, why_not(p).s);
}

struct gw_text_piece
gw_offline_cost(const struct gw_range_plan *p)
{
	if (!p->possible)
		return gw_sentence("%s", "");
	if (p->pages_migrated == 0)
		return gw_sentence("No page needs to be moved for that.");
	return gw_sentence("%s (%s) must be moved for that: about %.2f seconds.",
		pages(p->pages_migrated).s, gw_text_frames(p->pages_migrated).s,
		p->seconds_estimate);
}

struct gw_text_piece
gw_gigantic_answer(const struct gw_gigantic_plan *p)
{
	const struct gw_text_piece size = gw_text_frames(UINT64_C(1) << p->order);

	if (p->had >= p->count)
		return gw_sentence("Yes: %s of %s can be had.", pages(p->count).s, size.s);
	return gw_sentence("No: %s of %s cannot be had, only %s.", pages(p->count).s, size.s,
		gw_text_count(p->had).s);
}

struct gw_text_piece
gw_gigantic_cost(const struct gw_gigantic_plan *p)
{
	if (p->had == 0)
		return gw_sentence("%s", "");
	return gw_sentence("%s (%s) must be moved for %s: about %.2f seconds.",
		pages(p->pages_migrated).s, gw_text_frames(p->pages_migrated).s,
		p->had >= p->count ? "that" : "these", p->seconds_estimate);
}

static void
put_contents(const struct gw_report *r, const struct gw_range_plan *p)
{
	gw_heading(r, "What is in it");
	fprintf(r->out, "  %-24s %12s\n", "free", gw_text_frames(p->free).s);
	fprintf(r->out, "  %-24s %12s\n", "in use, movable", gw_text_frames(p->movable).s);
	fprintf(r->out, "  %-24s %12s\n", "in the way", gw_text_frames(p->blocked).s);
	gw_paragraph(
		r, 2, GW_TONE_DIM, "There is room for %s elsewhere.", gw_text_frames(p->room).s);
	if (p->hugetlb)
		gw_paragraph(r, 2, GW_TONE_PLAIN,
			"%s of it are pages of the huge page pool: they move if the kernel can get "
			"new ones.",
			gw_text_frames(p->hugetlb).s);
}

static void
put_kinds(const struct gw_report *r, const uint64_t by_kind[GW_KIND_NR])
{
	gw_tone(r, GW_TONE_DIM);
	fprintf(r->out, "  %-28s %9s\n", "kind", "pages");
	gw_tone(r, GW_TONE_PLAIN);
	for (unsigned k = 0; k < GW_KIND_NR; k++) {
		const struct gw_kind_info *info = gw_kind_info((enum gw_kind)k);

		if (by_kind[k] == 0)
			continue;
		fprintf(r->out, "  %-28s %9s\n", info->title, gw_text_count(by_kind[k]).s);
		gw_paragraph(r, 6, GW_TONE_DIM, "%s. Helps: %s.", info->why, info->help);
	}
}

static void
put_blockers(const struct gw_report *r, const struct gw_range_plan *p)
{
	gw_heading(r, "What stands in the way");
	put_kinds(r, p->by_kind);
	fputc('\n', r->out);
	gw_tone(r, GW_TONE_DIM);
	fprintf(r->out, "  %-12s %9s  %-28s %s\n", "at frame", "pages", "kind", "why");
	gw_tone(r, GW_TONE_PLAIN);
	for (unsigned i = 0; i < p->n_blockers && i < BLOCKERS_SHOWN; i++) {
		const struct gw_range_blocker *b = &p->blockers[i];
		char frame[16];

		snprintf(frame, sizeof frame, "0x%x", b->pfn);
		fprintf(r->out, "  %-12s %9s  %-28s %s\n", frame, gw_text_count(b->frames).s,
			gw_kind_info(b->kind)->title, gw_obstacle_name(b->why));
	}
	if (p->n_blockers_total > BLOCKERS_SHOWN)
		gw_paragraph(r, 2, GW_TONE_DIM, "and %s places more%s.",
			gw_text_count(p->n_blockers_total - BLOCKERS_SHOWN).s,
			p->n_blockers_total <= GW_RANGE_BLOCKERS_MAX ? ": --json has them" : "");
}

static void
put_doubts(const struct gw_report *r, const struct gw_snapshot *snap)
{
	gw_heading(r, "How sure this is");
	gw_paragraph(r, 2, GW_TONE_PLAIN,
		"Pinned pages do not show on the map and are taken to be movable. Which unflagged "
		"pages are the kernel's and which are free is inferred. Memory changes while you "
		"read this.");
	if (snap->missing[0])
		gw_paragraph(r, 2, GW_TONE_PLAIN, "Not in the snapshot: %s.",
			gw_text_clean(snap->missing, 200).s);
}

void
gw_report_offline(
	const struct gw_report *r, const struct gw_snapshot *snap, const struct gw_range_plan *plan)
{
	const struct gw_text_piece cost = gw_offline_cost(plan);

	gw_report_source(r, snap);
	gw_paragraph(
		r, 0, plan->possible ? GW_TONE_GOOD : GW_TONE_BAD, "%s", gw_offline_answer(plan).s);
	if (cost.s[0])
		gw_paragraph(r, 0, GW_TONE_PLAIN, "%s", cost.s);
	if (!plan->refused[0])
		put_contents(r, plan);
	if (plan->n_blockers)
		put_blockers(r, plan);
	put_doubts(r, snap);
}

/* The kind with the most pages in the way. */
static const char *
worst_kind(const struct gw_range_plan *p)
{
	unsigned worst = 0;

	for (unsigned k = 1; k < GW_KIND_NR; k++)
		if (p->by_kind[k] > p->by_kind[worst])
			worst = k;
	return gw_kind_info((enum gw_kind)worst)->title;
}

static void
put_place(const struct gw_report *r, const struct gw_range_plan *p)
{
	char frame[16], zone[40];

	snprintf(frame, sizeof frame, "0x%x", p->start);
	snprintf(zone, sizeof zone, "%d %s", p->node, p->zone);
	fprintf(r->out, "  %-12s %-11s %-4s %12s %12s", frame, gw_text_clean(zone, 11).s,
		p->possible ? "yes" : "no", gw_text_count(p->movable).s,
		gw_text_count(p->blocked).s);
	if (p->blocked)
		fprintf(r->out, "  %.20s", worst_kind(p));
	else if (!p->possible)
		fprintf(r->out, "  %s", p->refused[0] ? "edge of a zone" : "no room");
	fputc('\n', r->out);
}

static void
put_places(const struct gw_report *r, const struct gw_gigantic_plan *p)
{
	unsigned blocked = 0;

	gw_heading(r, "Where");
	gw_tone(r, GW_TONE_DIM);
	fprintf(r->out, "  %-12s %-11s %-4s %12s %12s  %s\n", "at frame", "node, zone", "",
		"to move", "in the way", "most of them");
	gw_tone(r, GW_TONE_PLAIN);
	for (unsigned i = 0; i < p->n_places; i++)
		if (p->places[i].possible || ++blocked <= BLOCKED_SHOWN)
			put_place(r, &p->places[i]);
	if (p->n_places == 0)
		gw_paragraph(r, 2, GW_TONE_PLAIN, "No zone holds an aligned block of that size.");
	if (blocked > BLOCKED_SHOWN)
		gw_paragraph(r, 2, GW_TONE_DIM,
			"%u more that cannot be had are left out: --json has them.",
			blocked - BLOCKED_SHOWN);
	gw_paragraph(r, 2, GW_TONE_DIM,
		"Places are in the order in which the kernel looks at them; it takes the first "
		"that it can.");
}

void
gw_report_gigantic(const struct gw_report *r, const struct gw_snapshot *snap,
	const struct gw_gigantic_plan *plan)
{
	const struct gw_text_piece cost = gw_gigantic_cost(plan);
	uint64_t by_kind[GW_KIND_NR] = {0}, blocked = 0;

	gw_report_source(r, snap);
	gw_paragraph(r, 0, plan->had >= plan->count ? GW_TONE_GOOD : GW_TONE_BAD, "%s",
		gw_gigantic_answer(plan).s);
	if (cost.s[0])
		gw_paragraph(r, 0, GW_TONE_PLAIN, "%s", cost.s);
	put_places(r, plan);
	for (unsigned i = 0; i < plan->n_places; i++)
		for (unsigned k = 0; k < GW_KIND_NR; k++) {
			by_kind[k] += plan->places[i].by_kind[k];
			blocked += plan->places[i].by_kind[k];
		}
	if (blocked) {
		gw_heading(r, "What stands in the way");
		put_kinds(r, by_kind);
	}
	put_doubts(r, snap);
}
