/* SPDX-License-Identifier: MIT */
/*
 * huge_nodes_fixture.h - an address space on a machine of three nodes with room for huge pages.
 *
 * Idea. Nodes 0 and 1 have a CPU each, node SLOW is slow memory. What CPU 0 writes is on node 0
 * until somebody moves it. The clock is the test's.
 */
#ifndef GODWIT_HUGE_NODES_FIXTURE_H
#define GODWIT_HUGE_NODES_FIXTURE_H

#include "huge_fixture.h"
#include "nodes_fixture.h"

#define WMARK_HIGH 30 /* of every node */
#define SLOW	   2

struct world {
	struct nodes *w;
	struct spaces *s; /* the same machine's */
	struct gw_mm *mm;
};

/* cmocka's: *state is a struct world. Balancing is NORMAL. */
int huge_nodes_setup(void **state);
int huge_nodes_teardown(void **state);

/* The address of frame i of what is mapped at HUGE_AT. */
gw_vaddr_t frame(unsigned i);
/* A CPU reads its number there. */
void use(struct world *x, unsigned cpu, unsigned i);
/* The page of frame i is whole on a node, with its bytes, and in ordinary use. */
void assert_whole_on(struct world *x, unsigned i, unsigned order, unsigned node);
/* Take every other frame of a node, all others being free; unhog() gives them back. */
void fragment(struct world *x, struct hog *h, unsigned node);

#endif
