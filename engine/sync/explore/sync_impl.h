/* SPDX-License-Identifier: MIT */
/*
 * sync_impl.h - sync.h for the explorer: its types, and its operations as steps of fibers.
 *
 * Idea. Waiting is never done: a task that must wait is not chosen until it need not (sched.h, P2).
 * So locks are words, a page-bit waiter stands in a queue until a waker takes it off, and the
 * search sees who could run at any time. Ranks and S4 are checked in this build always.
 */
#ifndef GW_SYNC_EXPLORE_SYNC_IMPL_H
#define GW_SYNC_EXPLORE_SYNC_IMPL_H

#include "engine/sync/bug.h"
#include "engine/sync/explore/atomic_impl.h"
#include "godwit/task.h"

#define GW_CACHE_LINE 64
/* Fixes can be left out (gw_fix()). */
#define GW_FIXES_REMOVABLE 1

#if !GW_CHECKS
#error "the explorer's engine is built with GW_CHECKS=1"
#endif

/* ---- the current task ---- */

static inline struct gw_task *
gw_current(void)
{
	return gw_sched_now ? gw_sched_now->now->task : NULL;
}

static inline unsigned
gw_current_cpu(void)
{
	const struct gw_task *task = gw_current();

	return task ? task->cpu : 0;
}

void gw_task_enter(struct gw_task *task, struct gw_machine *machine, unsigned cpu);
void gw_task_leave(struct gw_task *task);
void gw_sync_bug(const char *message);
void gw_x_relax(const char *func, int line);
#define gw_relax() gw_x_relax(GW_HERE)

/* ---- checks ---- */

/* Complain if a lock of `rank` must not be waited for now. */
void gw_lock_check(enum gw_lock_rank rank);
/* The current task took or gave back a lock of `rank`. */
void gw_lock_note(enum gw_lock_rank rank, bool spins);
void gw_lock_forget(enum gw_lock_rank rank, bool spins);
void gw_might_sleep(void);

/* ---- spinlock, mutex, read-write lock ---- */

/* One type of lock serves all three. */
struct gw_x_lock {
	uint16_t readers;
	bool writer;
	uint8_t rank;
};

typedef struct gw_x_lock gw_spinlock;
typedef struct gw_x_lock gw_mutex;
typedef struct gw_x_lock gw_rwlock;

/* The name of an operation, and what it does. */
struct gw_x_lock_kind {
	const char *name;
	bool reads, spins;
};

extern const struct gw_x_lock_kind gw_x_spin, gw_x_mutex, gw_x_read, gw_x_write;

void gw_x_lock_init(struct gw_x_lock *l, enum gw_lock_rank rank);
void gw_x_lock(struct gw_x_lock *l, const struct gw_x_lock_kind *kind, const char *func, int line);
GW_MUST_CHECK bool gw_x_trylock(
	struct gw_x_lock *l, const struct gw_x_lock_kind *kind, const char *func, int line);
void gw_x_unlock(
	struct gw_x_lock *l, const struct gw_x_lock_kind *kind, const char *func, int line);

#define gw_spin_init(l, rank)  gw_x_lock_init(l, rank)
#define gw_spin_lock(l)	       gw_x_lock(l, &gw_x_spin, GW_HERE)
#define gw_spin_trylock(l)     gw_x_trylock(l, &gw_x_spin, GW_HERE)
#define gw_spin_unlock(l)      gw_x_unlock(l, &gw_x_spin, GW_HERE)
#define gw_mutex_init(l, rank) gw_x_lock_init(l, rank)
#define gw_mutex_lock(l)       gw_x_lock(l, &gw_x_mutex, GW_HERE)
#define gw_mutex_trylock(l)    gw_x_trylock(l, &gw_x_mutex, GW_HERE)
#define gw_mutex_unlock(l)     gw_x_unlock(l, &gw_x_mutex, GW_HERE)
#define gw_rw_init(l, rank)    gw_x_lock_init(l, rank)
#define gw_rw_read_lock(l)     gw_x_lock(l, &gw_x_read, GW_HERE)
#define gw_rw_read_trylock(l)  gw_x_trylock(l, &gw_x_read, GW_HERE)
#define gw_rw_read_unlock(l)   gw_x_unlock(l, &gw_x_read, GW_HERE)
#define gw_rw_write_lock(l)    gw_x_lock(l, &gw_x_write, GW_HERE)
#define gw_rw_write_trylock(l) gw_x_trylock(l, &gw_x_write, GW_HERE)
#define gw_rw_write_unlock(l)  gw_x_unlock(l, &gw_x_write, GW_HERE)

/* Not a scheduling point: it is for assertions. */
static inline bool
gw_spin_is_held(const gw_spinlock *l)
{
	return l->writer;
}

/* ---- page-bit lock ---- */

struct gw_x_waiter; /* bitlock.c */

typedef struct {
	struct gw_x_waiter *first, *last; /* one queue: hashing would only hide who waits */
} gw_waitq_table;

GW_MUST_CHECK int gw_waitq_table_init(gw_waitq_table *table, unsigned log2_buckets,
	void *(*alloc)(void *ctx, size_t bytes), void *ctx);
void gw_waitq_table_destroy(
	gw_waitq_table *table, void (*release)(void *ctx, void *p, size_t bytes), void *ctx);
GW_MUST_CHECK int gw_x_bit_wait(gw_waitq_table *table, gw_atomic_u32 *word, uint32_t lock_bit,
	uint32_t waiters_bit, enum gw_wait mode, bool killable, void (*drop)(void *arg), void *arg,
	const char *func, int line);
GW_MUST_CHECK bool gw_x_bit_trylock(
	gw_atomic_u32 *word, uint32_t lock_bit, const char *func, int line);
void gw_x_bit_unlock(gw_waitq_table *table, gw_atomic_u32 *word, uint32_t lock_bit,
	uint32_t waiters_bit, const char *func, int line);

void gw_x_bit_wake(gw_waitq_table *table, gw_atomic_u32 *word, uint32_t lock_bit,
	uint32_t waiters_bit, const char *func, int line);

#define gw_bit_wake(table, word, lock_bit, waiters_bit)                                            \
	gw_x_bit_wake(table, word, lock_bit, waiters_bit, GW_HERE)
#define gw_bit_trylock(word, lock_bit) gw_x_bit_trylock(word, lock_bit, GW_HERE)
#define gw_bit_unlock(table, word, lock_bit, waiters_bit)                                          \
	gw_x_bit_unlock(table, word, lock_bit, waiters_bit, GW_HERE)
#define gw_bit_wait(table, word, lock_bit, waiters_bit, mode, killable, drop, arg)                 \
	gw_x_bit_wait(table, word, lock_bit, waiters_bit, mode, killable, drop, arg, GW_HERE)

void gw_x_flag_clear(gw_waitq_table *table, gw_atomic_u32 *word, uint32_t flag,
	uint32_t waiters_bit, const char *func, int line);
void gw_x_flag_wait(gw_waitq_table *table, gw_atomic_u32 *word, uint32_t flag, uint32_t waiters_bit,
	const char *func, int line);

#define gw_flag_clear(table, word, flag, waiters_bit)                                              \
	gw_x_flag_clear(table, word, flag, waiters_bit, GW_HERE)
#define gw_flag_wait(table, word, flag, waiters_bit)                                               \
	gw_x_flag_wait(table, word, flag, waiters_bit, GW_HERE)

/* ---- bytes of frames (engine/sync/bytes.h): one step, which touches the frame as a whole ---- */

void gw_x_bytes_load(void *own, const void *shared, size_t len, const char *func, int line);
void gw_x_bytes_store(void *shared, const void *own, size_t len, const char *func, int line);

#define gw_bytes_load(own, shared, len)	 gw_x_bytes_load(own, shared, len, GW_HERE)
#define gw_bytes_store(shared, own, len) gw_x_bytes_store(shared, own, len, GW_HERE)

/* ---- reference counts ---- */

#define GW_REF_MAX	 UINT32_C(0x7fffffff)
#define GW_REF_SATURATED UINT32_C(0xc0000000)

typedef struct {
	gw_atomic_u32 count;
} gw_refcount;

uint32_t gw_x_ref_read(const gw_refcount *r, const char *func, int line);
void gw_x_ref_set(gw_refcount *r, uint32_t n, const char *func, int line);
void gw_x_ref_get(gw_refcount *r, const char *func, int line);
GW_MUST_CHECK bool gw_x_ref_get_unless_zero(gw_refcount *r, const char *func, int line);
void gw_x_ref_add(gw_refcount *r, uint32_t n, const char *func, int line);
bool gw_x_ref_put(gw_refcount *r, const char *func, int line);
GW_MUST_CHECK bool gw_x_ref_freeze(gw_refcount *r, uint32_t n, const char *func, int line);
void gw_x_ref_unfreeze(gw_refcount *r, uint32_t n, const char *func, int line);

#define gw_ref_read(r)		  gw_x_ref_read(r, GW_HERE)
#define gw_ref_set(r, n)	  gw_x_ref_set(r, n, GW_HERE)
#define gw_ref_get(r)		  gw_x_ref_get(r, GW_HERE)
#define gw_ref_get_unless_zero(r) gw_x_ref_get_unless_zero(r, GW_HERE)
#define gw_ref_add(r, n)	  gw_x_ref_add(r, n, GW_HERE)
#define gw_ref_put(r)		  gw_x_ref_put(r, GW_HERE)
#define gw_ref_freeze(r, n)	  gw_x_ref_freeze(r, n, GW_HERE)
#define gw_ref_unfreeze(r, n)	  gw_x_ref_unfreeze(r, n, GW_HERE)

/* ---- RCU ---- */

typedef struct gw_rcu_head gw_rcu_head;

struct gw_rcu_head {
	gw_rcu_head *next;
	void (*fn)(gw_rcu_head *head);
	uint32_t readers; /* fibers inside a section since before the deferral, by bit */
};

void gw_x_rcu_read_lock(const char *func, int line);
void gw_x_rcu_read_unlock(void);
void gw_x_rcu_defer(gw_rcu_head *head, void (*fn)(gw_rcu_head *head), const char *func, int line);
void gw_x_rcu_barrier(const char *func, int line);

#define gw_rcu_read_lock()     gw_x_rcu_read_lock(GW_HERE)
#define gw_rcu_read_unlock()   gw_x_rcu_read_unlock()
#define gw_rcu_defer(head, fn) gw_x_rcu_defer(head, fn, GW_HERE)
#define gw_rcu_barrier()       gw_x_rcu_barrier(GW_HERE)

/* ---- per-CPU counters ---- */

typedef struct {
	gw_atomic_u64 *rows; /* [cpu][counter] */
	unsigned n_counters, n_cpus;
} gw_percpu_u64;

GW_MUST_CHECK int gw_percpu_init(gw_percpu_u64 *c, unsigned n_counters, unsigned n_cpus,
	void *(*alloc)(void *ctx, size_t bytes), void *ctx);
void gw_percpu_destroy(
	gw_percpu_u64 *c, void (*release)(void *ctx, void *p, size_t bytes), void *ctx);
gw_atomic_u64 *gw_percpu_word(gw_percpu_u64 *c, unsigned counter);
void gw_percpu_add(gw_percpu_u64 *c, unsigned counter, int64_t n);
int64_t gw_percpu_sum(const gw_percpu_u64 *c, unsigned counter);

#endif
