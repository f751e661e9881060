/* SPDX-License-Identifier: MIT */
/*
 * nodes_fixture.h - a soft machine of several nodes, whose clock is the test's.
 *
 * Idea. Every node is one zone of NODE_FRAMES; CPU n is on node n, as far as there are CPUs. A test
 * acts as any of them with try_peek() and try_poke() of mm_fixture.h, or with on_cpu().
 */
#ifndef GODWIT_NODES_FIXTURE_H
#define GODWIT_NODES_FIXTURE_H

#include "engine/virt/policy.h"
#include "file_fixture.h"

#define NODE_FRAMES 1024
#define MS	    UINT64_C(1000000) /* of the clock */

struct nodes {
	struct spaces s;
	struct gw_machine *m;
	struct gw_machine_ops ops;
	const struct gw_machine_ops *real_ops;
	gw_atomic_u64 now; /* nanoseconds */
	struct gw_numa_tunables numa;
	struct gw_task guest; /* on_cpu()'s */
};

/* `cpus` of the `n` nodes have one. distances, adistances: as struct gw_machine_config has them.
 * `wmarks`: frames that each zone's min, low and high watermark are apart. */
struct nodes *nodes_create(unsigned n, unsigned cpus, const uint8_t *distances,
	const unsigned *adistances, uint64_t wmarks);
/* Of `frames` each, with Linux's orders and watermarks. */
struct nodes *nodes_create_large(
	unsigned n, unsigned cpus, const uint8_t *distances, gw_pfn_t frames);
/* All is free again, and gw_machine_check() finds nothing. */
void nodes_destroy(struct nodes *w);

/* From here to off_cpu() the test runs on this CPU. */
void on_cpu(struct nodes *w, unsigned cpu);
void off_cpu(struct nodes *w);

/* w->numa goes to the machine. */
void set_numa(struct nodes *w);

unsigned node_of(struct nodes *w, gw_pfn_t page);
/* Of the page that addr maps. */
unsigned node_at(struct nodes *w, struct gw_mm *mm, gw_vaddr_t addr);
uint64_t free_on(struct nodes *w, unsigned node);
uint64_t events(struct nodes *w, enum gw_vm_event event);

/* Take frames of a node until `left` are free, and give them back. */
struct hog {
	gw_pfn_t pages[NODE_FRAMES];
	unsigned n;
};
void hog(struct nodes *w, struct hog *hog, unsigned node, uint64_t left);
void unhog(struct nodes *w, struct hog *hog);

struct gw_policy policy(enum gw_policy_mode mode, uint64_t nodes);
void bind_range(struct gw_mm *mm, gw_vaddr_t addr, unsigned pages, struct gw_policy policy);

#endif
