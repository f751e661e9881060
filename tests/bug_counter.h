/* SPDX-License-Identifier: MIT */
/*
 * bug_counter.h - a machine's op for broken invariants that counts them, and goes on.
 */
#ifndef GODWIT_BUG_COUNTER_H
#define GODWIT_BUG_COUNTER_H

static unsigned bugs;

static inline void
note_bug(void *ctx, const char *message)
{
	(void)ctx;
	(void)message;
	bugs++;
}

#endif
