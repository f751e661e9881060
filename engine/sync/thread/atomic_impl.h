/* SPDX-License-Identifier: MIT */
/*
 * atomic_impl.h - sync.h's atomics for threads: C11 atomics wrapped in structs.
 *
 * Idea. A struct around each keeps plain assignments and the operators of C (all sequentially
 * consistent) away from shared words: whoever touches one names the order. A word is as large
 * as its integer, so that a frame's words pack.
 */
#ifndef GW_SYNC_THREAD_ATOMIC_IMPL_H
#define GW_SYNC_THREAD_ATOMIC_IMPL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
	_Atomic uint8_t v;
} gw_atomic_u8;

typedef struct {
	_Atomic uint32_t v;
} gw_atomic_u32;

typedef struct {
	_Atomic uint64_t v;
} gw_atomic_u64;

typedef struct {
	_Atomic(void *) v;
} gw_atomic_ptr;

_Static_assert(sizeof(gw_atomic_u8) == 1 && sizeof(gw_atomic_u32) == 4 &&
		       sizeof(gw_atomic_u64) == 8 && sizeof(gw_atomic_ptr) == sizeof(void *),
	"atomic words are as large as what they hold");
_Static_assert(ATOMIC_CHAR_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2 &&
		       ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_POINTER_LOCK_FREE == 2,
	"atomic words need no lock");

#define GW_ATOMIC_READ_(name, type, op, fn, order)                                                 \
	static inline type gw_##name##_##op(const gw_atomic_##name *a)                             \
	{                                                                                          \
		return fn(&a->v, order);                                                           \
	}

#define GW_ATOMIC_WRITE_(name, type, op, order)                                                    \
	static inline void gw_##name##_##op(gw_atomic_##name *a, type n)                           \
	{                                                                                          \
		atomic_store_explicit(&a->v, n, order);                                            \
	}

/* Returns the value before. */
#define GW_ATOMIC_RMW_(name, type, op, fn, order)                                                  \
	static inline type gw_##name##_##op(gw_atomic_##name *a, type n)                           \
	{                                                                                          \
		return fn(&a->v, n, order);                                                        \
	}

/* Strong; *expected takes the value found. */
#define GW_ATOMIC_CAS_(name, type, op, order, order_failed)                                        \
	static inline bool gw_##name##_##op(gw_atomic_##name *a, type *expected, type desired)     \
	{                                                                                          \
		return atomic_compare_exchange_strong_explicit(                                    \
			&a->v, expected, desired, order, order_failed);                            \
	}

#define GW_ATOMIC_COMMON_(name, type)                                                              \
	GW_ATOMIC_READ_(name, type, load_relaxed, atomic_load_explicit, memory_order_relaxed)      \
	GW_ATOMIC_READ_(name, type, load_acquire, atomic_load_explicit, memory_order_acquire)      \
	GW_ATOMIC_WRITE_(name, type, store_relaxed, memory_order_relaxed)                          \
	GW_ATOMIC_WRITE_(name, type, store_release, memory_order_release)                          \
	GW_ATOMIC_RMW_(name, type, xchg_acq_rel, atomic_exchange_explicit, memory_order_acq_rel)   \
	GW_ATOMIC_CAS_(name, type, cas_relaxed, memory_order_relaxed, memory_order_relaxed)        \
	GW_ATOMIC_CAS_(name, type, cas_acquire, memory_order_acquire, memory_order_acquire)        \
	GW_ATOMIC_CAS_(name, type, cas_acq_rel, memory_order_acq_rel, memory_order_acquire)

#define GW_ATOMIC_INTEGER_(name, type)                                                             \
	GW_ATOMIC_COMMON_(name, type)                                                              \
	GW_ATOMIC_RMW_(name, type, add_relaxed, atomic_fetch_add_explicit, memory_order_relaxed)   \
	GW_ATOMIC_RMW_(name, type, sub_relaxed, atomic_fetch_sub_explicit, memory_order_relaxed)   \
	GW_ATOMIC_RMW_(name, type, sub_acq_rel, atomic_fetch_sub_explicit, memory_order_acq_rel)   \
	GW_ATOMIC_RMW_(name, type, or_relaxed, atomic_fetch_or_explicit, memory_order_relaxed)     \
	GW_ATOMIC_RMW_(name, type, or_acquire, atomic_fetch_or_explicit, memory_order_acquire)     \
	GW_ATOMIC_RMW_(name, type, and_relaxed, atomic_fetch_and_explicit, memory_order_relaxed)   \
	GW_ATOMIC_RMW_(name, type, and_release, atomic_fetch_and_explicit, memory_order_release)

GW_ATOMIC_INTEGER_(u8, uint8_t)
GW_ATOMIC_INTEGER_(u32, uint32_t)
GW_ATOMIC_INTEGER_(u64, uint64_t)
GW_ATOMIC_COMMON_(ptr, void *)

static inline void
gw_fence_seq_cst(void)
{
	atomic_thread_fence(memory_order_seq_cst);
}

#endif
