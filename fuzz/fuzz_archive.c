/* SPDX-License-Identifier: MIT */
/*
 * fuzz_archive.c - any archive: a snapshot that holds together, or one line saying why not.
 *
 * A tar header has a checksum over itself, which random changes never hit; so after each
 * change the checksums are made right again, to get at what lies behind them.
 */
#include "fuzz_text.h"

#include <stdio.h>

#define TAR_BLOCK 512

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

static void
fix_checksum(uint8_t *header)
{
	char digits[8];
	unsigned sum = 0;

	memset(header + 148, ' ', 8);
	for (unsigned i = 0; i < TAR_BLOCK; i++)
		sum += header[i];
	(void)snprintf(digits, sizeof(digits), "%06o", sum & 0777777);
	memcpy(header + 148, digits, 7);
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	size = LLVMFuzzerMutate(data, size, max_size);
	if (seed % 8 == 0) /* some stay broken */
		return size;
	for (size_t at = 0; at + TAR_BLOCK <= size; at += TAR_BLOCK) {
		if (memcmp(data + at + 257, "ustar", 5) == 0)
			fix_checksum(data + at);
	}
	return size;
}

static void
check_snapshot(const struct gw_snapshot *snap)
{
	FUZZ_CHECK(snap->n_frames > 0 && snap->n_zones > 0);
	FUZZ_CHECK(snap->n_orders > 0 && snap->n_orders <= GW_ORDERS_MAX);
	FUZZ_CHECK(snap->pageblock_order < snap->n_orders);
	for (unsigned i = 0; i < snap->n_zones; i++) {
		const struct gw_zone_snapshot *zone = &snap->zones[i];

		FUZZ_CHECK(zone->start_pfn + zone->spanned <= snap->n_frames);
		FUZZ_CHECK(i == 0 || zone[-1].start_pfn + zone[-1].spanned <= zone->start_pfn);
	}
	for (gw_pfn_t pfn = 0; pfn < snap->n_frames; pfn++)
		FUZZ_CHECK(gw_frame_kind(snap->frames[pfn]) < GW_KIND_NR);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gw_snapshot snap;
	struct gw_error err = {""};
	int ret = gw_snapshot_load_memory("input", data, size, &snap, &err);

	if (ret == 0) {
		check_snapshot(&snap);
		gw_snapshot_free(&snap);
		return 0;
	}
	FUZZ_CHECK(ret == -EINVAL || ret == -ENOMEM);
	FUZZ_CHECK(strncmp(err.text, "input: ", 7) == 0 && !strchr(err.text, '\n'));
	return 0;
}
