/* SPDX-License-Identifier: MIT */
/*
 * refusal_fixture.h - a script of steps, run again and again; in each run one request for memory is
 * refused, one later than in the run before.
 *
 * Idea. Requests for the engine's own memory and for frames are counted together. The machine's ops
 * refuse the first, the second are refused by a program that is linked with refusal_wraps
 * (meson.build). A step that was refused is taken again, and must do what it did not do then. After
 * a refusal, and at the end, every byte is where the program wrote it, every invariant stands, and
 * at the end everything has been given back.
 */
#ifndef GODWIT_REFUSAL_FIXTURE_H
#define GODWIT_REFUSAL_FIXTURE_H

#include "mm_fixture.h"

#define TRIAL_NODES 2
#define TRIAL_WORDS 64

/* What a step can be refused. */
#define OWN    1u
#define FRAMES 2u

/* One run. Words are what the program wrote to its memory, or found there. */
struct trial {
	struct spaces *s;
	struct gw_mm *mm;
	unsigned n;
	gw_vaddr_t at[TRIAL_WORDS];
	uint64_t value[TRIAL_WORDS];
	void *own; /* the script's */
};

struct trial_step {
	const char *name;
	int (*run)(struct trial *t); /* 0, or -ENOMEM: refused */
	unsigned needs;		     /* it must have been refused for want of each of these */
};

struct trial_script {
	void (*begin)(struct trial *t); /* is refused nothing; t->s and t->mm are there */
	void (*end)(struct trial *t);	/* the same; mm has gone. May be NULL */
	const struct trial_step *steps;
	unsigned n_steps;
};

void refuse_each(const struct trial_script *script);

/* ---- what steps are made of ---- */

/* One more word that is to be there from now on; or the word at addr has another value. */
void trial_expect(struct trial *t, gw_vaddr_t addr, uint64_t value);
/* What is expected from addr on, some bytes of it, is expected no more; or at another address. */
void trial_forget(struct trial *t, gw_vaddr_t addr, uint64_t bytes);
void trial_moved(struct trial *t, gw_vaddr_t from, gw_vaddr_t to, uint64_t bytes);
/* Write a word, which is expected then. */
int trial_store(struct trial *t, gw_vaddr_t addr, uint64_t value);
/* Every word is touched; and is what it should be. */
int trial_load_all(struct trial *t, struct gw_mm *mm);
/* The pages of all words go to a node, as gw_move_pages() does it. */
int trial_move_all(struct trial *t, struct gw_mm *mm, int node);
/* All that can leave memory leaves it. */
void trial_reclaim(struct trial *t);

/* ---- the engine's own memory, counted; for scripts of another kind, too ---- */

void count_memory(struct spaces *s);
/* Everything that was allocated since has been given back. */
void end_counting(struct spaces *s);

#endif
