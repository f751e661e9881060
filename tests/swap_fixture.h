/* SPDX-License-Identifier: MIT */
/*
 * swap_fixture.h - a machine with a swap area of bytes, and pages on their way in and out.
 *
 * What entries do, the tests do with gw_swap_dup() and gw_swap_put(); there are no address spaces.
 */
#ifndef GODWIT_SWAP_FIXTURE_H
#define GODWIT_SWAP_FIXTURE_H

#include "engine/store/store.h"
#include "machine_fixture.h"

#define FRAMES	1024
#define SLOTS	16
#define THREADS 4

/* A swap area of bytes, which can be made to fail. */
struct area {
	struct fixture *f;
	struct gw_machine *m;
	uint64_t free;
	int read_error, write_error;
	unsigned released;
	unsigned findings;
	/* What another task does just before a page is locked or unlocked; once.
	 * A program that links with page locking wrapped plays them. */
	void (*before_lock)(struct area *a, gw_pfn_t page);
	void (*before_unlock)(struct area *a, gw_pfn_t page);
	uint8_t bytes[SLOTS][GW_PAGE_SIZE];
};

extern const struct gw_backing_ops area_ops;

/* cmocka's: *state is a struct area; with _off, its machine has no swap yet. Teardown: no slot is
 * used, and all is free again. */
int area_setup(void **state);
int area_setup_off(void **state);
int area_teardown(void **state);

/* An anonymous page, locked, in the swap cache; its bytes are all `fill`. */
gw_pfn_t cached_page(struct area *a, uint8_t fill);
/* What reclaim does to a page with one entry: the entry names the slot, the bytes are there, the
 * frame is free. Returns the slot. */
uint32_t swap_out(struct area *a, uint8_t fill);
/* The page of a slot, locked, with a reference. */
gw_pfn_t swap_in(struct area *a, uint32_t slot);
/* The last entry of a slot goes. */
void zap(struct area *a, uint32_t slot);
void unlock_put(struct area *a, gw_pfn_t page);

struct gw_swap_info info_of(struct area *a);
uint32_t refs(const struct area *a, gw_pfn_t page);
bool has(const struct area *a, gw_pfn_t page, uint32_t flags);
bool is_free(const struct area *a, gw_pfn_t page);

#endif
