/* SPDX-License-Identifier: MIT */
/*
 * atomic_impl.h - sync.h's atomics for the explorer: plain words, each operation a step.
 *
 * Idea. Only one fiber runs at a time, so a word needs no atomic instruction, and every order is
 * sequential consistency. An operation that leaves its word as it was counts as having only seen
 * it: then it commutes with others that do.
 *
 * The operations are macros, so that a step can say in which function it was done.
 */
#ifndef GW_SYNC_EXPLORE_ATOMIC_IMPL_H
#define GW_SYNC_EXPLORE_ATOMIC_IMPL_H

#include "engine/sync/explore/sched.h"

typedef struct {
	uint8_t v;
} gw_atomic_u8;

typedef struct {
	uint32_t v;
} gw_atomic_u32;

typedef struct {
	uint64_t v;
} gw_atomic_u64;

typedef struct {
	void *v;
} gw_atomic_ptr;

#define GW_X_SEEN_(a, value)                                                                       \
	do {                                                                                       \
		gw_sched_access(&(a)->v, sizeof((a)->v), GW_SEES);                                 \
		GW_SCHED_DETAIL("= %#llx", (unsigned long long)(value));                           \
	} while (0)

#define GW_X_CHANGED_(a, value)                                                                    \
	do {                                                                                       \
		gw_sched_access(                                                                   \
			&(a)->v, sizeof((a)->v), (a)->v == (value) ? GW_SEES : GW_CHANGES);        \
		GW_SCHED_DETAIL("%#llx -> %#llx", (unsigned long long)(a)->v,                      \
			(unsigned long long)(value));                                              \
	} while (0)

/* Returns the value before. */
#define GW_X_RMW_(name, type, op, expression)                                                      \
	static inline type gw_x_##name##_##op(                                                     \
		gw_atomic_##name *a, type n, const char *func, int line)                           \
	{                                                                                          \
		type old, new;                                                                     \
                                                                                                   \
		gw_sched_point(#op, a, func, line);                                                \
		old = a->v;                                                                        \
		new = expression;                                                                  \
		GW_X_CHANGED_(a, new);                                                             \
		a->v = new;                                                                        \
		return old;                                                                        \
	}

#define GW_X_COMMON_(name, type, number)                                                           \
	static inline type gw_x_##name##_load(                                                     \
		const gw_atomic_##name *a, const char *func, int line)                             \
	{                                                                                          \
		gw_sched_point("load", a, func, line);                                             \
		GW_X_SEEN_(a, (number)a->v);                                                       \
		return a->v;                                                                       \
	}                                                                                          \
                                                                                                   \
	static inline void gw_x_##name##_store(                                                    \
		gw_atomic_##name *a, type n, const char *func, int line)                           \
	{                                                                                          \
		gw_sched_point("store", a, func, line);                                            \
		gw_sched_access(&a->v, sizeof(a->v), a->v == n ? GW_SEES : GW_CHANGES);            \
		GW_SCHED_DETAIL("%#llx -> %#llx", (unsigned long long)(number)a->v,                \
			(unsigned long long)(number)n);                                            \
		a->v = n;                                                                          \
	}                                                                                          \
                                                                                                   \
	static inline type gw_x_##name##_xchg(                                                     \
		gw_atomic_##name *a, type n, const char *func, int line)                           \
	{                                                                                          \
		type old;                                                                          \
                                                                                                   \
		gw_sched_point("xchg", a, func, line);                                             \
		old = a->v;                                                                        \
		gw_sched_access(&a->v, sizeof(a->v), old == n ? GW_SEES : GW_CHANGES);             \
		GW_SCHED_DETAIL("%#llx -> %#llx", (unsigned long long)(number)old,                 \
			(unsigned long long)(number)n);                                            \
		a->v = n;                                                                          \
		return old;                                                                        \
	}                                                                                          \
                                                                                                   \
	/* Strong; *expected takes the value found. */                                             \
	static inline bool gw_x_##name##_cas(                                                      \
		gw_atomic_##name *a, type *expected, type desired, const char *func, int line)     \
	{                                                                                          \
		gw_sched_point("cas", a, func, line);                                              \
		if (a->v != *expected) {                                                           \
			GW_X_SEEN_(a, (number)a->v);                                               \
			*expected = a->v;                                                          \
			return false;                                                              \
		}                                                                                  \
		gw_sched_access(&a->v, sizeof(a->v), a->v == desired ? GW_SEES : GW_CHANGES);      \
		GW_SCHED_DETAIL("%#llx -> %#llx", (unsigned long long)(number)a->v,                \
			(unsigned long long)(number)desired);                                      \
		a->v = desired;                                                                    \
		return true;                                                                       \
	}

#define GW_X_INTEGER_(name, type)                                                                  \
	GW_X_COMMON_(name, type, type)                                                             \
	GW_X_RMW_(name, type, add, (type)(old + n))                                                \
	GW_X_RMW_(name, type, sub, (type)(old - n))                                                \
	GW_X_RMW_(name, type, or, (type)(old | n))                                                 \
	GW_X_RMW_(name, type, and, (type)(old & n))

GW_X_INTEGER_(u8, uint8_t)
GW_X_INTEGER_(u32, uint32_t)
GW_X_INTEGER_(u64, uint64_t)
GW_X_COMMON_(ptr, void *, uintptr_t)

#define GW_HERE __func__, __LINE__

#define gw_u8_load_relaxed(a)			gw_x_u8_load(a, GW_HERE)
#define gw_u8_load_acquire(a)			gw_x_u8_load(a, GW_HERE)
#define gw_u8_store_relaxed(a, n)		gw_x_u8_store(a, n, GW_HERE)
#define gw_u8_store_release(a, n)		gw_x_u8_store(a, n, GW_HERE)
#define gw_u8_xchg_acq_rel(a, n)		gw_x_u8_xchg(a, n, GW_HERE)
#define gw_u8_cas_relaxed(a, expected, desired) gw_x_u8_cas(a, expected, desired, GW_HERE)
#define gw_u8_cas_acquire(a, expected, desired) gw_x_u8_cas(a, expected, desired, GW_HERE)
#define gw_u8_cas_acq_rel(a, expected, desired) gw_x_u8_cas(a, expected, desired, GW_HERE)
#define gw_u8_add_relaxed(a, n)			gw_x_u8_add(a, n, GW_HERE)
#define gw_u8_sub_relaxed(a, n)			gw_x_u8_sub(a, n, GW_HERE)
#define gw_u8_sub_acq_rel(a, n)			gw_x_u8_sub(a, n, GW_HERE)
#define gw_u8_or_relaxed(a, n)			gw_x_u8_or(a, n, GW_HERE)
#define gw_u8_or_acquire(a, n)			gw_x_u8_or(a, n, GW_HERE)
#define gw_u8_and_relaxed(a, n)			gw_x_u8_and(a, n, GW_HERE)
#define gw_u8_and_release(a, n)			gw_x_u8_and(a, n, GW_HERE)

#define gw_u32_load_relaxed(a)			 gw_x_u32_load(a, GW_HERE)
#define gw_u32_load_acquire(a)			 gw_x_u32_load(a, GW_HERE)
#define gw_u32_store_relaxed(a, n)		 gw_x_u32_store(a, n, GW_HERE)
#define gw_u32_store_release(a, n)		 gw_x_u32_store(a, n, GW_HERE)
#define gw_u32_xchg_acq_rel(a, n)		 gw_x_u32_xchg(a, n, GW_HERE)
#define gw_u32_cas_relaxed(a, expected, desired) gw_x_u32_cas(a, expected, desired, GW_HERE)
#define gw_u32_cas_acquire(a, expected, desired) gw_x_u32_cas(a, expected, desired, GW_HERE)
#define gw_u32_cas_acq_rel(a, expected, desired) gw_x_u32_cas(a, expected, desired, GW_HERE)
#define gw_u32_add_relaxed(a, n)		 gw_x_u32_add(a, n, GW_HERE)
#define gw_u32_sub_relaxed(a, n)		 gw_x_u32_sub(a, n, GW_HERE)
#define gw_u32_sub_acq_rel(a, n)		 gw_x_u32_sub(a, n, GW_HERE)
#define gw_u32_or_relaxed(a, n)			 gw_x_u32_or(a, n, GW_HERE)
#define gw_u32_or_acquire(a, n)			 gw_x_u32_or(a, n, GW_HERE)
#define gw_u32_and_relaxed(a, n)		 gw_x_u32_and(a, n, GW_HERE)
#define gw_u32_and_release(a, n)		 gw_x_u32_and(a, n, GW_HERE)

#define gw_u64_load_relaxed(a)			 gw_x_u64_load(a, GW_HERE)
#define gw_u64_load_acquire(a)			 gw_x_u64_load(a, GW_HERE)
#define gw_u64_store_relaxed(a, n)		 gw_x_u64_store(a, n, GW_HERE)
#define gw_u64_store_release(a, n)		 gw_x_u64_store(a, n, GW_HERE)
#define gw_u64_xchg_acq_rel(a, n)		 gw_x_u64_xchg(a, n, GW_HERE)
#define gw_u64_cas_relaxed(a, expected, desired) gw_x_u64_cas(a, expected, desired, GW_HERE)
#define gw_u64_cas_acquire(a, expected, desired) gw_x_u64_cas(a, expected, desired, GW_HERE)
#define gw_u64_cas_acq_rel(a, expected, desired) gw_x_u64_cas(a, expected, desired, GW_HERE)
#define gw_u64_add_relaxed(a, n)		 gw_x_u64_add(a, n, GW_HERE)
#define gw_u64_sub_relaxed(a, n)		 gw_x_u64_sub(a, n, GW_HERE)
#define gw_u64_sub_acq_rel(a, n)		 gw_x_u64_sub(a, n, GW_HERE)
#define gw_u64_or_relaxed(a, n)			 gw_x_u64_or(a, n, GW_HERE)
#define gw_u64_or_acquire(a, n)			 gw_x_u64_or(a, n, GW_HERE)
#define gw_u64_and_relaxed(a, n)		 gw_x_u64_and(a, n, GW_HERE)
#define gw_u64_and_release(a, n)		 gw_x_u64_and(a, n, GW_HERE)

#define gw_ptr_load_relaxed(a)			 gw_x_ptr_load(a, GW_HERE)
#define gw_ptr_load_acquire(a)			 gw_x_ptr_load(a, GW_HERE)
#define gw_ptr_store_relaxed(a, n)		 gw_x_ptr_store(a, n, GW_HERE)
#define gw_ptr_store_release(a, n)		 gw_x_ptr_store(a, n, GW_HERE)
#define gw_ptr_xchg_acq_rel(a, n)		 gw_x_ptr_xchg(a, n, GW_HERE)
#define gw_ptr_cas_relaxed(a, expected, desired) gw_x_ptr_cas(a, expected, desired, GW_HERE)
#define gw_ptr_cas_acquire(a, expected, desired) gw_x_ptr_cas(a, expected, desired, GW_HERE)
#define gw_ptr_cas_acq_rel(a, expected, desired) gw_x_ptr_cas(a, expected, desired, GW_HERE)

static inline void
gw_fence_seq_cst(void)
{
}

#endif
