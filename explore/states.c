/* SPDX-License-Identifier: MIT */
/*
 * states.c - how many different states the runs of a search have ended in.
 *
 * Idea. That a search still meets new ones says more than its number of runs. A state is
 * remembered by a hash of 64 bits over what is small: the scenario's own state and the frames'
 * descriptors. Addresses in it are the arena's, which repeat from run to run.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/phys/phys.h"
#include "explore/explore_internal.h"

#define FIRST_ROOM 1024

static uint64_t
mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 29;
}

static uint64_t
add_bytes(uint64_t hash, const void *bytes, size_t size)
{
	const char *p = bytes;
	uint64_t word;

	for (; size >= sizeof(word); p += sizeof(word), size -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		hash = mix(hash, word);
	}
	word = 0;
	memcpy(&word, p, size);
	return mix(hash, word);
}

static uint64_t *
slot_of(const struct gw_x_states *s, uint64_t hash)
{
	for (uint64_t i = hash;; i++) {
		uint64_t *slot = &s->seen[i & (s->room - 1)];

		if (*slot == 0 || *slot == hash)
			return slot;
	}
}

/* False: no memory. */
static bool
grow(struct gw_x_states *s)
{
	struct gw_x_states more = {.n = s->n, .room = s->room ? 2 * s->room : FIRST_ROOM};

	more.seen = calloc(more.room, sizeof(*more.seen));
	if (!more.seen)
		return false;
	for (uint32_t i = 0; i < s->room; i++)
		if (s->seen[i])
			*slot_of(&more, s->seen[i]) = s->seen[i];
	free(s->seen);
	*s = more;
	return true;
}

void
gw_x_states_note(struct gw_explorer *x)
{
	const struct gw_machine *m = gw_x_machine_of(x);
	struct gw_x_states *s = &x->states;
	uint64_t hash = add_bytes(1, x->state, x->scenario->state_size);
	uint64_t *slot;

	if (m)
		hash = add_bytes(hash, m->pages, m->n_frames * sizeof(*m->pages));
	hash += hash == 0;
	if (2 * s->n >= s->room && !grow(s))
		gw_x_give_up(x);
	slot = slot_of(s, hash);
	if (*slot)
		return;
	*slot = hash;
	x->result->states = ++s->n;
}
