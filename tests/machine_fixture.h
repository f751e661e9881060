/* SPDX-License-Identifier: MIT */
/*
 * machine_fixture.h - a small machine for tests of the engine.
 *
 * Idea. One zone from frame 0 on, all of it free, no watermarks; or a machine of any config, all
 * of it reserved. Bytes stand behind each frame, reserved lazily, so that a test sees whether
 * contents move and address spaces have page tables; there are no CPUs whose translations a
 * flush would reach. The creating thread is attached on CPU 0.
 * Destroying it is a test as well: gw_machine_check() finds nothing, no memory is left.
 */
#ifndef GODWIT_MACHINE_FIXTURE_H
#define GODWIT_MACHINE_FIXTURE_H

#include "engine/phys/phys.h"

#define FIXTURE_FRAME_BYTES GW_PAGE_SIZE

struct fixture {
	struct gw_machine *m;
	struct gw_task task;
	uint8_t (*bytes)[FIXTURE_FRAME_BYTES]; /* by frame */
	gw_pfn_t n_frames;
	gw_atomic_u64 live_bytes; /* that the machine has of us */
	gw_atomic_u64 allocations;
	uint64_t fail_at; /* this allocation, counted from 1, gets nothing; 0: none */
	gw_atomic_u64 flushes, flushed_frames, flushed_ranges;
	void *user; /* the test's */
};

/* pageblock_order: max_order is one more. */
struct fixture *fixture_create(gw_pfn_t n_frames, unsigned n_cpus, unsigned pageblock_order);
/* A machine of `config`, all frames reserved. */
struct fixture *fixture_create_config(const struct gw_machine_config *config);
void fixture_destroy(struct fixture *f);

/* Calls gw_machine_create() with f's memory; a zeroed f will do. */
GW_MUST_CHECK int fixture_try_create(
	struct fixture *f, const struct gw_machine_config *config, struct gw_error *err);

static inline struct fixture *
fixture_of(struct gw_machine *m)
{
	return m->ctx;
}

/* Asserts that gw_machine_check() finds nothing. Idle machine. */
void fixture_check(struct fixture *f);

/* A page of `order` with one reference; asserts that there is one. */
gw_pfn_t fixture_alloc(struct fixture *f, unsigned order);

/* What gw_zone_info() says. */
struct gw_zone_info fixture_zone(struct fixture *f, unsigned zone);

/* Frames of the zone that are free, on whatever list. */
uint64_t fixture_free_frames(struct fixture *f);

#endif
