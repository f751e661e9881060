/* SPDX-License-Identifier: MIT */
/*
 * sync.h - the only door to concurrency (DESIGN 2.2).
 *
 * Idea. Everything the engine does that another CPU could see goes through one of
 * the operations below: atomics, locks, waiting, reference counts, deferred frees,
 * per-CPU counters, and the task that runs. They are declared by contract here and
 * defined in "sync_impl.h", which the build finds on its include path:
 * engine/sync/thread/ makes them from C11 atomics, futex and liburcu. Another
 * directory with the same names (every operation a scheduling point) builds
 * the same engine for another scheduler; no file of the engine changes.
 *
 * Rules
 *   S1  nothing outside this room includes <stdatomic.h>, <pthread.h> or liburcu
 *   S2  a memory order is part of an operation's name; without one, sequential consistency
 *   S3  locks are taken in ascending rank (enum gw_lock_rank; docs/locking.md), and
 *       builds with GW_CHECKS stop at the first acquisition that is not
 *   S4  nobody sleeps (gw_might_sleep()) with a spinlock held or inside an RCU section
 */
#ifndef GW_ENGINE_SYNC_H
#define GW_ENGINE_SYNC_H

#include "godwit/types.h"

/*
 * Ranks, outermost first: docs/locking.md gives what each protects. Two locks of one
 * rank may be held together only where the rank says so.
 */
enum gw_lock_rank {
	GW_RANK_MMAP,	 /* address space layout */
	GW_RANK_HUGETLB, /* an address space's faults on pages of a pool, one at a time */
	GW_RANK_SIZE,	 /* a file's size changes */
	GW_RANK_PAGE,	 /* page lock bit; two: lowest frame number first, the second by trylock */
	GW_RANK_RMAP,	 /* mapping and anon_vma locks; two: a mapping's first, of one VMA */
	GW_RANK_PAGETABLE, /* page-table locks */
	GW_RANK_TREE,	   /* cache trees */
	GW_RANK_LRU_BATCH, /* per-CPU LRU-add batch, over the LRU lock while it drains */
	GW_RANK_LRU,	   /* a node's LRU lists */
	GW_RANK_PCP,	   /* per-CPU page lists, over the zone lock while they refill or drain */
	GW_RANK_ZONE,	   /* a zone's free areas */
	GW_RANK_LEAF,	   /* wait queues and what nests nothing */
	GW_RANK_NR
};

/*
 * What "sync_impl.h" provides.
 *
 * Types (all zero-initialised unless an init function is named):
 *   gw_atomic_u8, gw_atomic_u32, gw_atomic_u64, gw_atomic_ptr
 *   gw_spinlock, gw_mutex, gw_rwlock, gw_waitq_table, gw_refcount, gw_percpu_u64, gw_rcu_head
 *
 * Atomics. For T in u8, u32, u64 (ptr: load, store, cas, xchg only):
 *   T    gw_T_load_relaxed(const a *), gw_T_load_acquire(const a *)
 *   void gw_T_store_relaxed(a *, v), gw_T_store_release(a *, v)
 *   T    gw_T_add_relaxed(a *, v), gw_T_sub_relaxed(a *, v)      -> the value before
 *   T    gw_T_sub_acq_rel(a *, v)                                -> the value before
 *   T    gw_T_or_relaxed / or_acquire / and_relaxed / and_release(a *, v) -> the value before
 *   bool gw_T_cas_acquire / cas_acq_rel / cas_relaxed(a *, T *expected, desired)
 *        strong; *expected takes the value found
 *   T    gw_T_xchg_acq_rel(a *, v)
 *   void gw_fence_seq_cst(void)
 *
 * Memory for tables is asked of the machine, as struct gw_machine_ops has it: `alloc` gives
 * zeroed bytes or NULL, `release` takes them back with their size.
 *
 * Spinlock: never sleeps while held.
 *   void gw_spin_init(l *, rank), gw_spin_lock(l *), gw_spin_unlock(l *); bool gw_spin_trylock(l *)
 *   bool gw_spin_is_held(l *): by anyone, for assertions only
 *
 * Mutex and read-write lock: may sleep. Writers are not starved.
 *   void gw_mutex_init(l *, rank), gw_mutex_lock, gw_mutex_unlock; bool gw_mutex_trylock
 *   void gw_rw_init(l *, rank), gw_rw_read_lock, gw_rw_read_unlock, gw_rw_write_lock,
 *        gw_rw_write_unlock; bool gw_rw_read_trylock, gw_rw_write_trylock
 *
 * Page-bit lock: one bit of a word is the lock, another says "somebody waits"; waiters
 * stand in a hashed table of queues, keyed by the word's address (FACTS C3 to C7).
 *   int  gw_waitq_table_init(table *, unsigned log2_buckets, alloc, ctx)      0 or -ENOMEM
 *   void gw_waitq_table_destroy(table *, release, ctx)
 *   bool gw_bit_trylock(gw_atomic_u32 *word, uint32_t lock_bit)                acquire
 *   void gw_bit_unlock(table *, word, lock_bit, waiters_bit)                   release, wakes
 *   int  gw_bit_wait(table *, word, lock_bit, waiters_bit, enum gw_wait, bool killable,
 *                    void (*drop)(void *), void *arg)
 *        GW_WAIT_EXCLUSIVE: returns 0 with the bit taken.
 *        GW_WAIT_SHARED:    returns 0 once the bit was seen clear.
 *        GW_WAIT_DROP:      queues itself and sets waiters_bit, reads the bit once, calls
 *                           drop(arg), sleeps only if the bit was set; after drop() the word
 *                           is never touched again; one wake-up, also one for nothing, ends
 *                           it (C4 to C6). drop() is called exactly once whatever is
 *                           returned, and must not itself wait for a bit. Locks that pin
 *                           the word may be held until drop() gives them back.
 *        -EINTR: killable and the task was interrupted (takes precedence, C5); the bit is
 *        not taken.
 *        Only an attached task can wait. Whoever unlocks holds a reference to what the word
 *        is part of. waiters_bit may stay set after a DROP waiter left: harmless.
 *   Other bits of the word may be flags that are waited for with the same waiters_bit:
 *   void gw_flag_clear(table *, word, flag, waiters_bit)                       release, wakes
 *   void gw_flag_wait(table *, word, flag, waiters_bit)   returns once the flag was seen clear;
 *                           locks of rank PAGE and below may be held
 *
 * Reference counts saturate: beyond GW_REF_MAX they stay at GW_REF_SATURATED, a leak rather
 * than a use after free; with GW_CHECKS the step beyond is a BUG. All operations but set
 * and unfreeze are read-modify-writes.
 *   void gw_ref_set(r *, n); uint32_t gw_ref_read(r *)
 *   void gw_ref_get(r *)            the caller already holds one; 0 is a BUG
 *   bool gw_ref_get_unless_zero(r *)
 *   void gw_ref_add(r *, n)         atomically, also from 0 (B10)
 *   bool gw_ref_put(r *)            true: it was the last; at 0 is a BUG
 *   bool gw_ref_freeze(r *, n)      n -> 0 if exactly n, else false
 *   void gw_ref_unfreeze(r *, n)    0 -> n
 *
 * RCU (liburcu, memory-barrier flavour with registration by gw_task_attach()):
 *   void gw_rcu_read_lock(void), gw_rcu_read_unlock(void)
 *   void gw_rcu_defer(gw_rcu_head *, void (*fn)(gw_rcu_head *))   fn runs on a thread of its
 *                                   own, where no task is attached nor may be
 *   void gw_rcu_barrier(void)       every deferred free so far has run
 *
 * Per-CPU counters: exact in sum, whoever adds, whatever preempts (R14).
 *   gw_percpu_u64: one cache line per CPU
 *   int  gw_percpu_init(c *, unsigned n_counters, unsigned n_cpus, alloc, ctx)  0 or -ENOMEM
 *   void gw_percpu_destroy(c *, release, ctx)
 *   void gw_percpu_add(c *, unsigned counter, int64_t n)   on the current task's CPU
 *   int64_t gw_percpu_sum(const c *, unsigned counter)     never torn; not a snapshot
 *   gw_atomic_u64 *gw_percpu_word(c *, unsigned counter)   what an addition adds to
 *
 * Waiting and yielding
 *   void gw_relax(void)        inside a spin: let others run
 *   void gw_might_sleep(void)  a mark, checked with GW_CHECKS (S4)
 *
 * The current task: struct gw_task (godwit/task.h) of the running thread.
 *   struct gw_task *gw_current(void)     NULL if none is attached
 *   unsigned gw_current_cpu(void)        its CPU; 0 if none is attached
 *   void gw_task_enter(task *, machine *, unsigned cpu), gw_task_leave(task *): what
 *        gw_task_attach() (which knows the machine's CPUs) and gw_task_detach() are made of
 *   void gw_sync_bug(const char *message): gw_bug() on the current task's machine
 */
enum gw_wait { GW_WAIT_EXCLUSIVE = 0, GW_WAIT_SHARED = 1, GW_WAIT_DROP = 2 };

#include "sync_impl.h"

#endif
