/* SPDX-License-Identifier: MIT */
/*
 * index.c - the kernel's fragmentation figures, digit for digit (FACTS 1.5, D6, D7).
 *
 * With n[k] free blocks of order k: F free frames, T free blocks of any order, S free frames in
 * blocks that could serve the order asked for. Everything is integer arithmetic in
 * thousandths, with the kernel's truncations.
 */
#include <stdio.h>

#include "godwit/zone.h"

struct free_sums {
	uint64_t frames;   /* F */
	uint64_t blocks;   /* T */
	uint64_t suitable; /* S, in frames: what stands in blocks of the order or above */
};

static struct free_sums
sum_free(const uint64_t *free_blocks, unsigned n_orders, unsigned order)
{
	struct free_sums sums = {0, 0, 0};

	for (unsigned k = 0; k < n_orders; k++) {
		sums.frames += free_blocks[k] << k;
		sums.blocks += free_blocks[k];
		if (k >= order)
			sums.suitable += free_blocks[k] << k;
	}
	return sums;
}

int
gw_unusable_index(const uint64_t *free_blocks, unsigned n_orders, unsigned order)
{
	struct free_sums sums = sum_free(free_blocks, n_orders, order);

	if (sums.frames == 0)
		return 1000;
	return (int)((sums.frames - sums.suitable) * 1000 / sums.frames);
}

int
gw_fragmentation_index(const uint64_t *free_blocks, unsigned n_orders, unsigned order)
{
	struct free_sums sums = sum_free(free_blocks, n_orders, order);

	if (order >= n_orders || sums.blocks == 0)
		return 0;
	if (sums.suitable > 0)
		return -1000;
	/* Negative and not -1000 where there is one block in all (FACTS 1.5 quirks). */
	return 1000 - (int)((1000 + sums.frames * 1000 / ((uint64_t)1 << order)) / sums.blocks);
}

int
gw_proactive_score(const uint64_t *free_blocks, unsigned n_orders, unsigned order)
{
	struct free_sums sums = sum_free(free_blocks, n_orders, order);

	if (sums.frames == 0)
		return 0;
	return (int)((sums.frames - sums.suitable) * 100 / sums.frames);
}

int
gw_index_format(char *buf, size_t size, int index, bool padded)
{
	/* The kernel prints quotient and remainder apart, so -500 comes out as "0.-500". */
	return snprintf(buf, size, padded ? "%2d.%03d" : "%d.%03d", index / 1000, index % 1000);
}
