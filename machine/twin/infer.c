/* SPDX-License-Identifier: MIT */
/*
 * infer.c - what the kernel does not say of a frame or a pageblock (FACTS 3.1, 3.2).
 *
 * Idea. A frame without any flag is either free on a per-CPU list or an untyped kernel page.
 * The kernel groups its own pages by pageblock, so the neighbourhood tells: in a pageblock where
 * nothing else belongs to the kernel, such a frame is almost surely a free one; the more kernel
 * pages stand around it, the less likely. How many there are in all is known (zoneinfo), so the
 * likeliest are taken until the count is met. The same signs rank pageblocks for being UNMOVABLE or
 * RECLAIMABLE, whose totals are known too (pagetypeinfo).
 *
 * Invariants: T1 and T2 of godwit/twin.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "machine/twin/twin_internal.h"

/* How strongly a pageblock looks like the kernel's own; 0: no sign at all. */
struct block_signs {
	uint16_t kernel; /* frames of typed kernel pages */
	uint16_t slab;	 /* of these, slab */
	uint16_t noflag;
	uint16_t movable; /* frames on LRU lists */
	uint16_t memory;  /* frames that are no hole and not reserved */
};

struct block_table {
	gw_pfn_t first, n; /* pageblocks that overlap the zone */
	struct block_signs *signs;
	uint64_t memory; /* frames of the zone that are no hole and not reserved */
};

struct gw_range
gw_twin_zone_range(const struct gw_snapshot *snap, unsigned zone)
{
	const struct gw_zone_snapshot *z = &snap->zones[zone];
	uint64_t end = z->start_pfn + z->spanned;

	return (struct gw_range){
		z->start_pfn, end < snap->n_frames ? (gw_pfn_t)end : snap->n_frames};
}

/* What a frame of each kind adds to its pageblock's signs, as four 16-bit sums in one word. */
#define SIGN_KERNEL  1u
#define SIGN_SLAB    (1u << 16)
#define SIGN_NOFLAG  ((uint64_t)1 << 32)
#define SIGN_NOTHING ((uint64_t)1 << 48) /* a hole or reserved */

static const uint64_t sign_weights[GW_FRAME_KIND + 1] = {
	[GW_KIND_HOLE] = SIGN_NOTHING,
	[GW_KIND_RESERVED] = SIGN_NOTHING,
	[GW_KIND_NOFLAG] = SIGN_NOFLAG,
	[GW_KIND_SLAB] = SIGN_KERNEL | SIGN_SLAB,
	[GW_KIND_PGTABLE] = SIGN_KERNEL,
	[GW_KIND_COMPOUND] = SIGN_KERNEL,
	[GW_KIND_KERNEL] = SIGN_KERNEL,
};

/* The signs of frames [pfn, end), all of one pageblock. */
static struct block_signs
read_block(const gw_frame_t *frames, gw_pfn_t pfn, gw_pfn_t end)
{
	gw_pfn_t n = end - pfn;
	unsigned lru = 0;
	uint64_t sum = 0;

	for (; pfn < end; pfn++) {
		sum += sign_weights[frames[pfn] & GW_FRAME_KIND];
		lru += (frames[pfn] & GW_FRAME_LRU) != 0;
	}
	return (struct block_signs){
		.kernel = (uint16_t)sum,
		.slab = (uint16_t)(sum >> 16),
		.noflag = (uint16_t)(sum >> 32),
		.movable = (uint16_t)lru,
		.memory = (uint16_t)(n - (sum >> 48)),
	};
}

static int
read_signs(const struct gw_snapshot *snap, unsigned zone, struct block_table *table)
{
	struct gw_range r = gw_twin_zone_range(snap, zone);

	*table = (struct block_table){.first = r.start >> snap->pageblock_order};
	table->n = ((r.end - 1) >> snap->pageblock_order) + 1 - table->first;
	table->signs = calloc(table->n, sizeof(*table->signs));
	if (!table->signs)
		return -ENOMEM;
	for (gw_pfn_t b = 0; b < table->n; b++) {
		gw_pfn_t pfn = (table->first + b) << snap->pageblock_order;
		gw_pfn_t end = pfn + ((gw_pfn_t)1 << snap->pageblock_order);

		table->signs[b] = read_block(
			snap->frames, pfn < r.start ? r.start : pfn, end > r.end ? r.end : end);
		table->memory += table->signs[b].memory;
	}
	return 0;
}

/*
 * Rank of a pageblock's unflagged frames for being free, 0 first: blocks without a kernel page,
 * those that hold anything else before those that are unflagged from end to end (a vmalloc area
 * looks like that), then by growing share of kernel pages.
 */
#define NOFLAG_RANKS 515

static unsigned
noflag_rank(const struct block_signs *signs)
{
	if (signs->kernel == 0)
		return signs->noflag == signs->memory ? 1 : 0;
	return 2 + (unsigned)((uint32_t)signs->kernel * 512 / signs->memory);
}

/*
 * Frames that the zone has and never gave to its allocator, beyond those that say so: memory that
 * the hypervisor keeps back. They stand in pageblocks that are unflagged from end to end.
 */
static uint64_t
count_unmanaged(const struct block_table *table, uint64_t managed)
{
	uint64_t whole = 0;

	for (gw_pfn_t b = 0; b < table->n; b++)
		if (table->signs[b].noflag && noflag_rank(&table->signs[b]) == 1)
			whole += table->signs[b].noflag;
	if (table->memory <= managed)
		return 0;
	return table->memory - managed < whole ? table->memory - managed : whole;
}

/* How many unflagged frames of each rank are to be taken as per-CPU pages. */
static void
share_out(const struct block_table *table, uint64_t reported, uint64_t take[NOFLAG_RANKS],
	struct gw_twin_notes *notes)
{
	memset(take, 0, NOFLAG_RANKS * sizeof(*take));
	for (gw_pfn_t b = 0; b < table->n; b++)
		if (table->signs[b].noflag)
			take[noflag_rank(&table->signs[b])] += table->signs[b].noflag;
	take[1] -= notes->unmanaged;
	for (unsigned rank = 0; rank < NOFLAG_RANKS; rank++) {
		uint64_t left = reported - notes->pcp_placed;

		notes->noflag += take[rank];
		if (take[rank] > left)
			take[rank] = left;
		notes->pcp_placed += take[rank];
		if (rank <= 1)
			notes->pcp_certain += take[rank];
	}
	notes->kernel_inferred = notes->noflag - notes->pcp_placed;
	notes->pcp_confidence =
		notes->pcp_placed ? (unsigned)(notes->pcp_certain * 100 / notes->pcp_placed) : 100;
}

/* What an unflagged frame of a block of this rank is, taking it from what is left to hand out. */
static enum gw_kind
pick_kind(unsigned rank, uint64_t take[NOFLAG_RANKS], uint64_t *unmanaged)
{
	if (rank == 1 && *unmanaged > 0) {
		(*unmanaged)--;
		return GW_KIND_RESERVED;
	}
	if (take[rank] == 0)
		return GW_KIND_KERNEL;
	take[rank]--;
	return GW_KIND_PCP;
}

/* T1. The pageblocks' signs learn of the kernel pages that are found. */
static void
infer_noflag(struct gw_snapshot *snap, struct gw_range r, const struct block_table *table,
	struct gw_twin_notes *notes)
{
	uint64_t take[NOFLAG_RANKS], unmanaged = notes->unmanaged;

	share_out(table, notes->pcp_reported, take, notes);
	for (gw_pfn_t b = 0; b < table->n; b++) {
		struct block_signs *signs = &table->signs[b];
		gw_pfn_t pfn = (table->first + b) << snap->pageblock_order;
		unsigned rank = noflag_rank(signs);

		for (unsigned left = signs->noflag; left > 0; pfn++) {
			gw_frame_t *frame = &snap->frames[pfn];
			enum gw_kind kind;

			if (pfn < r.start || gw_frame_kind(*frame) != GW_KIND_NOFLAG)
				continue;
			left--;
			kind = pick_kind(rank, take, &unmanaged);
			*frame = (gw_frame_t)((*frame & (gw_frame_t)~GW_FRAME_KIND) | kind);
			signs->kernel = (uint16_t)(signs->kernel + (kind == GW_KIND_KERNEL));
			signs->memory = (uint16_t)(signs->memory - (kind == GW_KIND_RESERVED));
		}
		signs->noflag = 0;
	}
}

/* Rank of a pageblock for not being MOVABLE: the kernel's share first, then a lack of movable
 * pages. */
#define TYPE_RANKS 1026

static unsigned
type_rank(const struct block_signs *signs)
{
	unsigned kernel;

	if (signs->memory == 0)
		return 0;
	kernel = (unsigned)((uint32_t)signs->kernel * 512 / signs->memory);
	if (signs->kernel && !kernel)
		kernel = 1;
	return 2 * kernel + (signs->movable == 0 && kernel ? 1 : 0);
}

/* The lowest rank that still belongs to the `wanted` highest-ranked blocks. */
static unsigned
rank_threshold(const struct block_table *table, uint64_t wanted, uint64_t *at_threshold)
{
	uint64_t n[TYPE_RANKS] = {0};
	unsigned rank = TYPE_RANKS;

	for (gw_pfn_t b = 0; b < table->n; b++)
		if (table->signs[b].memory)
			n[type_rank(&table->signs[b])]++;
	while (wanted > 0 && rank-- > 0) {
		if (n[rank] >= wanted) {
			*at_threshold = wanted;
			return rank;
		}
		wanted -= n[rank];
	}
	*at_threshold = UINT64_MAX; /* all blocks that there are */
	return 0;
}

/* Types left to hand out, best match first: slab goes to RECLAIMABLE, emptiness to HIGHATOMIC. */
static enum gw_migratetype
pick_type(const struct block_signs *signs, uint64_t left[GW_MT_NR])
{
	enum gw_migratetype order[] = {
		GW_MT_UNMOVABLE, GW_MT_RECLAIMABLE, GW_MT_HIGHATOMIC, GW_MT_CMA, GW_MT_ISOLATE};

	if (signs->slab * 2 > signs->kernel) {
		order[0] = GW_MT_RECLAIMABLE;
		order[1] = GW_MT_UNMOVABLE;
	}
	for (unsigned i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (left[order[i]]) {
			left[order[i]]--;
			return order[i];
		}
	return GW_MT_MOVABLE;
}

/* T2 */
static int
infer_types(const struct gw_snapshot *snap, const struct gw_zone_snapshot *zone,
	const struct block_table *table, struct gw_machine *m, struct gw_twin_notes *notes)
{
	uint64_t left[GW_MT_NR], wanted = 0, at_threshold = 0;
	unsigned threshold = TYPE_RANKS;
	int ret = 0;

	memcpy(left, zone->pageblocks, sizeof(left));
	for (unsigned t = 0; t < GW_MT_NR; t++)
		wanted += t == GW_MT_MOVABLE ? 0 : left[t];
	if (wanted)
		threshold = rank_threshold(table, wanted, &at_threshold);
	for (gw_pfn_t b = 0; b < table->n && !ret; b++) {
		unsigned rank = type_rank(&table->signs[b]);
		enum gw_migratetype type = GW_MT_MOVABLE;
		bool chosen = rank > threshold;

		if (table->signs[b].memory == 0)
			continue;
		if (rank == threshold && at_threshold > 0) {
			at_threshold--;
			chosen = true;
		}
		if (chosen)
			type = pick_type(&table->signs[b], left);
		notes->pageblocks_inferred[type]++;
		if (type != GW_MT_MOVABLE)
			ret = gw_seed_pageblock(
				m, (table->first + b) << snap->pageblock_order, type);
	}
	return ret;
}

int
gw_infer_zone(
	struct gw_snapshot *snap, unsigned zone, struct gw_machine *m, struct gw_twin_notes *notes)
{
	const struct gw_zone_snapshot *z = &snap->zones[zone];
	struct block_table table;
	int ret = 0;

	if (read_signs(snap, zone, &table))
		return -ENOMEM;
	notes->pcp_reported = z->pcp_count;
	notes->unmanaged = count_unmanaged(&table, z->managed);
	infer_noflag(snap, gw_twin_zone_range(snap, zone), &table, notes);
	if (z->has_pagetypes)
		ret = infer_types(snap, z, &table, m, notes);
	free(table.signs);
	return ret;
}
