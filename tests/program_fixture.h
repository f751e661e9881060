/* SPDX-License-Identifier: MIT */
/*
 * program_fixture.h - a program that runs while a test does things to its pages: in each round it
 * adds one to each of its words, and knows what they must be (I5).
 */
#ifndef GW_TESTS_PROGRAM_FIXTURE_H
#define GW_TESTS_PROGRAM_FIXTURE_H

#include <pthread.h>

#include "engine/sync/sync.h"
#include "godwit/mm.h"

struct program {
	struct gw_machine *m;
	struct gw_mm *mm;
	gw_vaddr_t at;	      /* of its first word; all are 0 at first */
	unsigned pages, step; /* in every step-th of so many pages there is one */
	unsigned rounds;
	/* The program's. */
	gw_atomic_u32 done;
	uint64_t mistakes;
	pthread_t thread;
};

/* On CPU 1. */
void program_start(struct program *p);
bool program_is_done(const struct program *p);
/* When it is done: every word was what it must be. */
void program_end(struct program *p);

#endif
