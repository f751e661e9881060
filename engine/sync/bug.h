/* SPDX-License-Identifier: MIT */
/*
 * bug.h - what happens when one of our own invariants is broken.
 *
 * Idea. A broken invariant goes to the machine's bug operation with one line that names the
 * place: fatal by default, a finding where the machine says so. Outside data is never a BUG.
 */
#ifndef GW_ENGINE_BUG_H
#define GW_ENGINE_BUG_H

struct gw_machine;

/* 1: assertions and lock-order checks are compiled in. */
#ifndef GW_CHECKS
#define GW_CHECKS 0
#endif

/*
 * Report a broken invariant of `m`. Defined by engine/phys, which knows the machine's operations.
 *   m        NULL: found outside any task; aborts
 *   message  one line
 * Returns only where the machine's bug operation does.
 */
void gw_bug(struct gw_machine *m, const char *message);

#define GW_BUG_STRING_(x) #x
#define GW_BUG_LINE_(x)	  GW_BUG_STRING_(x)

/* Complain if `cond` holds: always compiled in, so for what is cheap or must not go on. */
#define GW_BUG_ON(m, cond)                                                                         \
	do {                                                                                       \
		if (__builtin_expect(!!(cond), 0))                                                 \
			gw_bug((m), __FILE__ ":" GW_BUG_LINE_(__LINE__) ": " #cond);               \
	} while (0)

/* The same with GW_CHECKS; else `cond` is compiled but not evaluated. */
#if GW_CHECKS
#define GW_CHECK_ON(m, cond) GW_BUG_ON(m, cond)
#else
#define GW_CHECK_ON(m, cond) ((void)sizeof(m), (void)sizeof(!(cond)))
#endif

#endif
