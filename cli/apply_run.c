/* SPDX-License-Identifier: MIT */
/*
 * apply_run.c - the runs of `godwit apply`, and what is put back when they end early.
 *
 * Steps
 *   Y1  write out dirty page cache: in large folios it ends runs early (FACTS 3.7)
 *   Y2  let the kernel compact: a run starts from both ends and may stop anywhere
 *   Y3  wait while per-CPU lists drain: what was freed to them is in no block yet
 *   Y4  again, while fewer than wanted are free and a run gains blocks, or ended early where
 *       the run before it did not: then the next may get further
 *   Y5  size the pool of huge pages, if asked; a pool that did not get all gives all back
 *
 * Invariants
 *   A1  when apply_run() returns, the pool has the size asked for, or the size it had
 *   A2  an interrupt is seen between any two steps and at each look of Y3
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "apply.h"
#include "cli.h"

#define POLL_MS	      500
#define STEADY_POLLS  10 /* not a block's worth less in so many looks: that was all */
#define RESERVE_TRIES 3	 /* the kernel may give up within a millisecond (FACTS 3.7) */

static const struct gw_zone_snapshot *
find_zone(const struct gw_snapshot *look, int node, const char *name)
{
	for (unsigned z = 0; z < look->n_zones; z++) {
		if (look->zones[z].node == node && strcmp(look->zones[z].name, name) == 0)
			return &look->zones[z];
	}
	return NULL;
}

/* Returns how many pages are on per-CPU lists beyond what these keep for good. */
static uint64_t
take_look(struct gw_apply *out, const struct gw_snapshot *look)
{
	static const struct gw_zone_snapshot gone; /* its memory was taken offline */
	uint64_t excess = 0;

	for (unsigned z = 0; z < out->n_zones; z++) {
		struct gw_apply_zone *zone = &out->zones[z];
		const struct gw_zone_snapshot *now = find_zone(look, zone->node, zone->name);

		if (!now)
			now = &gone;
		memcpy(zone->free_blocks_after, now->free_blocks, sizeof now->free_blocks);
		zone->available_after =
			gw_blocks_available(now->free_blocks, look->n_orders, out->order);
		zone->held_after = now->pcp_count;
		if (now->pcp_count > now->pcp_high_min)
			excess += now->pcp_count - now->pcp_high_min;
	}
	return excess;
}

static uint64_t
available(const struct gw_apply *out)
{
	uint64_t n = 0;

	for (unsigned z = 0; z < out->n_zones; z++)
		n += out->zones[z].available_after;
	return n;
}

static uint64_t
held(const struct gw_apply *out)
{
	uint64_t n = 0;

	for (unsigned z = 0; z < out->n_zones; z++)
		n += out->zones[z].held_after;
	return n;
}

static int
look_again(struct applying *a, uint64_t *excess, struct gw_error *err)
{
	struct gw_snapshot look;
	int ret = host_look(a->host, &look, err);

	if (ret != 0)
		return ret;
	*excess = take_look(a->out, &look);
	gw_snapshot_free(&look);
	return 0;
}

int
apply_begin(struct applying *a, struct gw_error *err)
{
	struct gw_apply *out = a->out;
	struct gw_snapshot look;
	int ret = host_look(a->host, &look, err);

	if (ret != 0)
		return ret;
	out->n_zones = 0;
	for (unsigned z = 0; z < look.n_zones && out->n_zones < GW_ZONES_MAX; z++) {
		const struct gw_zone_snapshot *from = &look.zones[z];
		struct gw_apply_zone *zone = &out->zones[out->n_zones];

		if (out->node >= 0 && from->node != out->node)
			continue;
		*zone = (struct gw_apply_zone){
			.node = from->node,
			.start = from->start_pfn,
			.end = from->start_pfn + (gw_pfn_t)from->spanned,
			.n_orders = look.n_orders,
			.held_before = from->pcp_count,
		};
		memcpy(zone->name, from->name, sizeof zone->name);
		memcpy(zone->free_blocks_before, from->free_blocks, sizeof from->free_blocks);
		out->n_zones++;
	}
	take_look(out, &look);
	for (unsigned z = 0; z < out->n_zones; z++)
		out->zones[z].available_before = out->zones[z].available_after;
	gw_snapshot_free(&look);
	return 0;
}

static int
interrupted(struct gw_error *err)
{
	if (!cli_interrupted())
		return 0;
	snprintf(err->text, sizeof err->text, "interrupted");
	return -EINTR;
}

/*
 * Y3, as far as it is worth it: until only what the lists keep for good is left, or so little
 * comes back that it is no block more. Who reserves wants the blocks before somebody else has
 * them; who does not wants to know what the run gave.
 */
static int
settle(struct applying *a, struct gw_apply_run *run, struct gw_error *err)
{
	const uint64_t limit_ms = (uint64_t)a->out->settle_seconds * 1000;
	const uint64_t block = UINT64_C(1) << a->out->order;
	uint64_t excess = 0, first = 0, least = 0;
	struct cli_progress progress;
	unsigned steady = 0;
	int ret;

	cli_progress_init(&progress, "Waiting for per-CPU lists");
	for (;;) {
		ret = look_again(a, &excess, err);
		if (ret != 0)
			break;
		run->held = held(a->out);
		if (run->settle_ms == 0)
			first = least = excess;
		steady++;
		if (excess + block <= least) {
			least = excess;
			steady = 0;
		}
		if (excess < block || steady > STEADY_POLLS || run->settle_ms >= limit_ms ||
			(a->out->reserve && available(a->out) >= a->out->wanted))
			break;
		cli_progress_show(&progress, (first - least) * GW_PAGE_SIZE, first * GW_PAGE_SIZE);
		a->host->pause(a->host, POLL_MS);
		run->settle_ms += POLL_MS;
		ret = interrupted(err);
		if (ret != 0)
			break;
	}
	cli_progress_end(&progress);
	return ret;
}

static unsigned
folio_length(const gw_frame_t *frames, unsigned head, unsigned n)
{
	unsigned end = head + 1;

	while (end < n && frames[end] & GW_FRAME_TAIL)
		end++;
	return end - head;
}

/*
 * The scanner stands behind the batch that failed, and a batch lies in one pageblock: the last
 * large folio below it there is what had no target. It was put back and is still there.
 */
static void
find_folio(const struct applying *a, struct gw_apply_end *end)
{
	const gw_pfn_t length = (gw_pfn_t)1 << a->out->plan->pageblock_order;
	gw_frame_t frames[1u << GW_ORDERS_MAX];
	gw_pfn_t start;

	if (end->migrate_pfn == 0 || length > sizeof frames / sizeof frames[0])
		return;
	start = (end->migrate_pfn - 1) & ~(length - 1);
	if (host_frames(a->host, start, length, frames) != 0)
		return;
	for (unsigned i = end->migrate_pfn - start; i-- > 0;) {
		unsigned n = folio_length(frames, i, length);

		if (!(frames[i] & GW_FRAME_HEAD) || !(frames[i] & GW_FRAME_LRU) || n < 2)
			continue;
		end->folio = start + i;
		end->folio_pages = n;
		end->frame = frames[i];
		return;
	}
}

static void
note_ends(struct applying *a, struct gw_apply_run *run)
{
	struct trace_end ends[GW_ZONES_MAX];
	struct gw_apply *out = a->out;
	int n = trace_ends(a->trace, ends, GW_ZONES_MAX);

	if (n < 0)
		snprintf(out->trace_missing, sizeof out->trace_missing,
			"the tracing instance could not be read");
	for (int i = 0; i < n; i++) {
		struct gw_apply_end *end = &run->ends[run->n_ends];
		unsigned z = 0;

		while (z < out->n_zones && out->zones[z].start != ends[i].zone_start)
			z++;
		if (z == out->n_zones)
			continue;
		*end = (struct gw_apply_end){
			.zone = z,
			.result = ends[i].result,
			.migrate_pfn = (gw_pfn_t)ends[i].migrate_pfn,
			.free_pfn = (gw_pfn_t)ends[i].free_pfn,
		};
		if (end->result == GW_COMPACT_CONTENDED)
			find_folio(a, end);
		run->n_ends++;
	}
}

/* Y1, Y2 */
static int
compact_once(struct applying *a, struct gw_apply_run *run, struct gw_error *err)
{
	struct gw_snapshot before, after;
	uint64_t start;
	int ret;

	a->host->sync(a->host);
	ret = host_look(a->host, &before, err);
	if (ret != 0)
		return ret;
	start = cli_now_ns();
	ret = a->host->write(a->host, a->out->compact_path, "1");
	run->ns = cli_now_ns() - start;
	if (ret != 0) {
		snprintf(err->text, sizeof err->text, "%s: %s", a->out->compact_path,
			strerror(-ret));
	} else {
		note_ends(a, run);
		ret = host_look(a->host, &after, err);
	}
	if (ret == 0) {
		run->migrated = gw_snapshot_counter(&after, "pgmigrate_success", 0) -
				gw_snapshot_counter(&before, "pgmigrate_success", 0);
		run->failed = gw_snapshot_counter(&after, "pgmigrate_fail", 0) -
			      gw_snapshot_counter(&before, "pgmigrate_fail", 0);
		gw_snapshot_free(&after);
	}
	gw_snapshot_free(&before);
	return ret == -EPERM || ret == -EROFS ? -EACCES : ret;
}

static const struct gw_plan_zone *
find_plan_zone(const struct gw_plan *plan, const struct gw_apply_zone *zone)
{
	for (unsigned z = 0; z < plan->n_zones; z++) {
		if (plan->zones[z].node == zone->node &&
			strcmp(plan->zones[z].name, zone->name) == 0)
			return &plan->zones[z];
	}
	return NULL;
}

/* Replace, in the sums for the run as it was, a zone's full run by one that ends at `stop_at`. */
static int
plan_stop(struct applying *a, const struct gw_apply_zone *zone, gw_pfn_t stop_at)
{
	struct gw_plan_request request = a->out->plan->request;
	const struct gw_plan_zone *full = find_plan_zone(a->out->plan, zone), *stopped;
	struct gw_error ignored;
	struct gw_plan plan;

	request.stop_at = stop_at;
	if (!full || gw_plan_make(a->snap, &request, &plan, &ignored) != 0)
		return -EINVAL;
	stopped = find_plan_zone(&plan, zone);
	if (stopped) {
		a->out->stop_available += stopped->available_after - full->available_after;
		a->out->stop_pages += stopped->pages_migrated - full->pages_migrated;
	}
	gw_plan_free(&plan);
	return stopped ? 0 : -EINVAL;
}

/* The plan was for a full run: what would it have said of the first run as it went? */
static void
plan_first_run(struct applying *a)
{
	struct gw_apply *out = a->out;
	const struct gw_apply_run *run = &out->runs[0];

	if (!a->snap || !out->plan || out->n_runs == 0)
		return;
	out->stop_available = 0;
	out->stop_pages = out->predicted_pages;
	for (unsigned z = 0; z < out->n_zones; z++)
		out->stop_available += out->zones[z].available_predicted;
	for (unsigned i = 0; i < run->n_ends; i++) {
		const struct gw_apply_end *end = &run->ends[i];

		if (end->result != GW_COMPACT_CONTENDED)
			continue;
		if (plan_stop(a, &out->zones[end->zone], end->migrate_pfn) != 0) {
			out->has_stop = false;
			return;
		}
		out->has_stop = true;
	}
}

static bool
ended_there(const struct gw_apply_run *run, const struct gw_apply_end *where)
{
	for (unsigned i = 0; i < run->n_ends; i++) {
		const struct gw_apply_end *end = &run->ends[i];

		if (end->zone == where->zone && end->result == where->result &&
			end->migrate_pfn == where->migrate_pfn)
			return true;
	}
	return false;
}

/* Of the last run. */
static bool
ended_early_anew(const struct gw_apply *out)
{
	const struct gw_apply_run *last = &out->runs[out->n_runs - 1];

	for (unsigned i = 0; i < last->n_ends; i++) {
		const struct gw_apply_end *end = &last->ends[i];

		if (end->result == GW_COMPACT_CONTENDED &&
			(out->n_runs == 1 || !ended_there(last - 1, end)))
			return true;
	}
	return false;
}

/* Y4 */
static int
compact_while_gaining(struct applying *a, struct gw_error *err)
{
	struct gw_apply *out = a->out;
	uint64_t before = available(out);

	out->outcome = before >= out->wanted ? GW_APPLY_ALREADY : GW_APPLY_MAX_RUNS;
	while (out->outcome == GW_APPLY_MAX_RUNS && out->n_runs < out->max_runs) {
		struct gw_apply_run *run = &out->runs[out->n_runs];
		int ret = interrupted(err);

		*run = (struct gw_apply_run){.available_before = before};
		if (ret == 0)
			ret = compact_once(a, run, err);
		if (ret != 0)
			return ret;
		out->n_runs++;
		ret = settle(a, run, err);
		if (ret != 0)
			return ret;
		run->available_after = available(out);
		if (run->available_after >= out->wanted)
			out->outcome = GW_APPLY_REACHED;
		else if (run->available_after <= before && !ended_early_anew(out))
			out->outcome = GW_APPLY_NO_GAIN;
		before = run->available_after;
	}
	return 0;
}

static int
set_pool(struct applying *a, uint64_t n, struct gw_error *err)
{
	char text[24];
	int ret;

	a->out->pool.written = true;
	snprintf(text, sizeof text, "%" PRIu64, n);
	ret = a->host->write(a->host, a->out->pool.path, text);
	if (ret != 0)
		snprintf(err->text, sizeof err->text, "%s: %s", a->out->pool.path, strerror(-ret));
	return ret == -EPERM || ret == -EROFS ? -EACCES : ret;
}

/* Ask until all are given, or asking again gives no more. */
static int
fill_pool(struct applying *a, struct gw_error *err)
{
	struct gw_apply_pool *pool = &a->out->pool;

	for (unsigned tries = 0; tries < RESERVE_TRIES && !pool->complete; tries++) {
		uint64_t now = 0;
		int ret = interrupted(err);

		if (ret == 0)
			ret = set_pool(a, a->out->count, err);
		if (ret == 0)
			ret = host_number(a->host, pool->path, &now);
		if (now > pool->given)
			pool->given = now;
		if (ret != 0)
			return ret;
		pool->complete = now >= a->out->count;
	}
	return 0;
}

/* Y5, A1 */
static int
reserve(struct applying *a, struct gw_error *err)
{
	struct gw_apply_pool *pool = &a->out->pool;
	struct gw_error second;
	int ret;

	pool->given = pool->before;
	if (pool->before >= a->out->count) { /* asking would make it smaller */
		pool->complete = true;
		return 0;
	}
	ret = fill_pool(a, err);
	if (ret == 0 && pool->complete)
		return 0;
	pool->complete = false;
	pool->restored = set_pool(a, pool->before, &second) == 0;
	if (!pool->restored && ret == 0) {
		*err = second;
		ret = -EIO;
	}
	return ret;
}

int
apply_run(struct applying *a, struct gw_error *err)
{
	int ret = compact_while_gaining(a, err);

	if (ret == 0)
		plan_first_run(a);
	if (ret == 0)
		ret = interrupted(err);
	if (ret == 0 && a->out->reserve)
		ret = reserve(a, err);
	return ret;
}
