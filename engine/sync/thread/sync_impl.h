/* SPDX-License-Identifier: MIT */
/*
 * sync_impl.h - sync.h for threads: its types, and what must be fast, inline.
 *
 * Idea. The uncontended case of a lock is one atomic instruction where it is taken and one
 * where it is given back; everything else is a call into this directory's .c files.
 * With GW_CHECKS each lock carries its rank and each task a count of the locks it holds,
 * by rank (S3, S4); a thread without a task is not checked.
 */
#ifndef GW_SYNC_THREAD_SYNC_IMPL_H
#define GW_SYNC_THREAD_SYNC_IMPL_H

#include <pthread.h>

#include "engine/sync/bug.h"
#include "engine/sync/thread/atomic_impl.h"
#include "godwit/task.h"

#define GW_CACHE_LINE 64

/* ---- the current task ---- */

/* Hidden and initial-exec: reading it is one load, also in the shared library. */
extern _Thread_local struct gw_task *gw_current_task
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

static inline struct gw_task *
gw_current(void)
{
	return gw_current_task;
}

static inline unsigned
gw_current_cpu(void)
{
	const struct gw_task *task = gw_current_task;

	return task ? task->cpu : 0;
}

void gw_task_enter(struct gw_task *task, struct gw_machine *machine, unsigned cpu);
void gw_task_leave(struct gw_task *task);
void gw_sync_bug(const char *message);
void gw_relax(void);

/* ---- checks ---- */

#if GW_CHECKS
/* Complain if a lock of `rank` must not be waited for now. */
void gw_lock_check(enum gw_lock_rank rank);
/* The current task took or gave back a lock of `rank`. */
void gw_lock_note(enum gw_lock_rank rank, bool spins);
void gw_lock_forget(enum gw_lock_rank rank, bool spins);
void gw_might_sleep(void);
#else
static inline void
gw_might_sleep(void)
{
}
#endif

/* ---- spinlock ---- */

/* Test and test-and-set: 0 free, 1 held. Not fair; critical sections are short. */
typedef struct {
	gw_atomic_u32 held;
#if GW_CHECKS
	uint32_t rank; /* set by gw_spin_init(), then read-only */
#endif
} gw_spinlock;

void gw_spin_lock_slow(gw_spinlock *l);

static inline void
gw_spin_init(gw_spinlock *l, enum gw_lock_rank rank)
{
	(void)rank;
	gw_u32_store_relaxed(&l->held, 0);
#if GW_CHECKS
	l->rank = rank;
#endif
}

static inline void
gw_spin_lock(gw_spinlock *l)
{
#if GW_CHECKS
	gw_lock_check(l->rank);
#endif
	if (__builtin_expect(atomic_exchange_explicit(&l->held.v, 1, memory_order_acquire) != 0, 0))
		gw_spin_lock_slow(l);
#if GW_CHECKS
	gw_lock_note(l->rank, true);
#endif
}

static inline bool
gw_spin_trylock(gw_spinlock *l)
{
	if (gw_u32_load_relaxed(&l->held) ||
		atomic_exchange_explicit(&l->held.v, 1, memory_order_acquire))
		return false;
#if GW_CHECKS
	gw_lock_note(l->rank, true);
#endif
	return true;
}

static inline void
gw_spin_unlock(gw_spinlock *l)
{
#if GW_CHECKS
	gw_lock_forget(l->rank, true);
#endif
	gw_u32_store_release(&l->held, 0); /* pairs with the exchange that takes it */
}

static inline bool
gw_spin_is_held(const gw_spinlock *l)
{
	return gw_u32_load_relaxed(&l->held) != 0;
}

/* ---- mutex and read-write lock ---- */

typedef struct {
	pthread_mutex_t mutex;
	enum gw_lock_rank rank;
} gw_mutex;

void gw_mutex_init(gw_mutex *l, enum gw_lock_rank rank);
void gw_mutex_lock(gw_mutex *l);
void gw_mutex_unlock(gw_mutex *l);
GW_MUST_CHECK bool gw_mutex_trylock(gw_mutex *l);

/* A word: readers in the low bits, and the flags below; rwlock.c has the argument. */
#define GW_RW_WRITER   UINT32_C(0x80000000) /* held for writing */
#define GW_RW_PENDING  UINT32_C(0x40000000) /* a writer waits: no new readers */
#define GW_RW_SLEEPERS UINT32_C(0x20000000) /* somebody sleeps on the word */

typedef struct {
	gw_atomic_u32 word;
	enum gw_lock_rank rank;
} gw_rwlock;

void gw_rw_read_lock_slow(gw_rwlock *l);
void gw_rw_write_lock_slow(gw_rwlock *l);
void gw_rw_wake(gw_rwlock *l);

static inline void
gw_rw_init(gw_rwlock *l, enum gw_lock_rank rank)
{
	gw_u32_store_relaxed(&l->word, 0);
	l->rank = rank;
}

GW_MUST_CHECK static inline bool
gw_rw_read_trylock(gw_rwlock *l)
{
	uint32_t word = gw_u32_load_relaxed(&l->word);

	do {
		if (word & (GW_RW_WRITER | GW_RW_PENDING))
			return false;
	} while (!gw_u32_cas_acquire(&l->word, &word, word + 1));
#if GW_CHECKS
	gw_lock_note(l->rank, false);
#endif
	return true;
}

static inline void
gw_rw_read_lock(gw_rwlock *l)
{
	gw_might_sleep();
#if GW_CHECKS
	gw_lock_check(l->rank);
#endif
	if (__builtin_expect(!gw_rw_read_trylock(l), 0))
		gw_rw_read_lock_slow(l);
}

static inline void
gw_rw_read_unlock(gw_rwlock *l)
{
	uint32_t word = gw_u32_load_relaxed(&l->word), next;

#if GW_CHECKS
	gw_lock_forget(l->rank, false);
#endif
	do {
		next = word - 1;
		if ((next & ~GW_RW_PENDING) == GW_RW_SLEEPERS)
			next &= ~GW_RW_SLEEPERS; /* the last: R1 */
	} while (!gw_u32_cas_acq_rel(&l->word, &word, next));
	if (__builtin_expect(next != word - 1, 0))
		gw_rw_wake(l);
}

GW_MUST_CHECK static inline bool
gw_rw_write_trylock(gw_rwlock *l)
{
	uint32_t word = gw_u32_load_relaxed(&l->word);

	do {
		if (word & ~(GW_RW_PENDING | GW_RW_SLEEPERS))
			return false;
		/* Writers that still wait say so again. */
	} while (!gw_u32_cas_acquire(&l->word, &word, (word & GW_RW_SLEEPERS) | GW_RW_WRITER));
#if GW_CHECKS
	gw_lock_note(l->rank, false);
#endif
	return true;
}

static inline void
gw_rw_write_lock(gw_rwlock *l)
{
	gw_might_sleep();
#if GW_CHECKS
	gw_lock_check(l->rank);
#endif
	if (__builtin_expect(!gw_rw_write_trylock(l), 0))
		gw_rw_write_lock_slow(l);
}

static inline void
gw_rw_write_unlock(gw_rwlock *l)
{
#if GW_CHECKS
	gw_lock_forget(l->rank, false);
#endif
	/* release: pairs with the acquire of whoever comes next */
	if (gw_u32_and_release(&l->word, ~(GW_RW_WRITER | GW_RW_SLEEPERS)) & GW_RW_SLEEPERS)
		gw_rw_wake(l);
}

/* ---- page-bit lock ---- */

struct gw_waitq; /* one bucket, in bitlock.c */

typedef struct {
	struct gw_waitq *buckets;
	unsigned mask; /* number of buckets - 1 */
} gw_waitq_table;

GW_MUST_CHECK int gw_waitq_table_init(gw_waitq_table *table, unsigned log2_buckets,
	void *(*alloc)(void *ctx, size_t bytes), void *ctx);
void gw_waitq_table_destroy(
	gw_waitq_table *table, void (*release)(void *ctx, void *p, size_t bytes), void *ctx);
GW_MUST_CHECK int gw_bit_wait(gw_waitq_table *table, gw_atomic_u32 *word, uint32_t lock_bit,
	uint32_t waiters_bit, enum gw_wait mode, bool killable, void (*drop)(void *arg), void *arg);
void gw_flag_wait(gw_waitq_table *table, gw_atomic_u32 *word, uint32_t flag, uint32_t waiters_bit);
void gw_bit_wake(
	gw_waitq_table *table, gw_atomic_u32 *word, uint32_t lock_bit, uint32_t waiters_bit);

GW_MUST_CHECK static inline bool
gw_bit_trylock(gw_atomic_u32 *word, uint32_t lock_bit)
{
	if (gw_u32_or_acquire(word, lock_bit) & lock_bit)
		return false;
#if GW_CHECKS
	gw_lock_note(GW_RANK_PAGE, false);
#endif
	return true;
}

static inline void
gw_bit_unlock(gw_waitq_table *table, gw_atomic_u32 *word, uint32_t lock_bit, uint32_t waiters_bit)
{
	uint32_t old;

#if GW_CHECKS
	gw_lock_forget(GW_RANK_PAGE, false);
#endif
	old = gw_u32_and_release(word, ~lock_bit); /* pairs with the acquire of whoever takes it */
#if GW_CHECKS
	if (!(old & lock_bit))
		gw_sync_bug("a page lock was given back that nobody held");
#endif
	if (__builtin_expect((old & waiters_bit) != 0, 0))
		gw_bit_wake(table, word, lock_bit, waiters_bit);
}

static inline void
gw_flag_clear(gw_waitq_table *table, gw_atomic_u32 *word, uint32_t flag, uint32_t waiters_bit)
{
	uint32_t old = gw_u32_and_release(word, ~flag); /* pairs with the acquire of who waits */

#if GW_CHECKS
	if (!(old & flag))
		gw_sync_bug("a flag was cleared that was not set");
#endif
	if (__builtin_expect((old & waiters_bit) != 0, 0))
		gw_bit_wake(table, word, flag, waiters_bit);
}

/* ---- reference counts ---- */

/*
 * Values from half the range up are saturated: far enough from both ends that the threads
 * which may add or subtract before one of them puts it back to GW_REF_SATURATED cannot
 * leave that half.
 */
#define GW_REF_MAX	 UINT32_C(0x7fffffff)
#define GW_REF_SATURATED UINT32_C(0xc0000000)

typedef struct {
	gw_atomic_u32 count;
} gw_refcount;

/* Something is wrong with an operation that found `old`: saturate, complain. */
void gw_ref_get_slow(gw_refcount *r, uint32_t old);
void gw_ref_put_slow(gw_refcount *r, uint32_t old);

/* acquire: whoever finds itself the only holder comes after what the others did */
static inline uint32_t
gw_ref_read(const gw_refcount *r)
{
	return gw_u32_load_acquire(&r->count);
}

/* release: whoever then gets a reference (gw_ref_get_unless_zero()) sees what was set up before */
static inline void
gw_ref_set(gw_refcount *r, uint32_t n)
{
	gw_u32_store_release(&r->count, n);
}

static inline void
gw_ref_get(gw_refcount *r)
{
	uint32_t old = gw_u32_add_relaxed(&r->count, 1);

	if (__builtin_expect(old - 1 >= GW_REF_MAX - 1, 0)) /* 0, GW_REF_MAX or above */
		gw_ref_get_slow(r, old);
}

GW_MUST_CHECK static inline bool
gw_ref_get_unless_zero(gw_refcount *r)
{
	uint32_t old = gw_u32_load_relaxed(&r->count);

	do {
		if (old == 0)
			return false;
	} while (!gw_u32_cas_acquire(&r->count, &old, old + 1));
	if (__builtin_expect(old >= GW_REF_MAX, 0))
		gw_ref_get_slow(r, old);
	return true;
}

static inline void
gw_ref_add(gw_refcount *r, uint32_t n)
{
	uint32_t old = atomic_fetch_add_explicit(&r->count.v, n, memory_order_release);

	if (__builtin_expect(old > GW_REF_MAX || n > GW_REF_MAX - old, 0))
		gw_ref_get_slow(r, old > GW_REF_MAX ? old : GW_REF_MAX);
}

static inline bool
gw_ref_put(gw_refcount *r)
{
	uint32_t old = gw_u32_sub_acq_rel(&r->count, 1);

	if (__builtin_expect(old - 1 >= GW_REF_MAX, 0)) /* 0 or above GW_REF_MAX */
		gw_ref_put_slow(r, old);
	return old == 1;
}

GW_MUST_CHECK static inline bool
gw_ref_freeze(gw_refcount *r, uint32_t n)
{
	return gw_u32_cas_acq_rel(&r->count, &n, 0);
}

static inline void
gw_ref_unfreeze(gw_refcount *r, uint32_t n)
{
#if GW_CHECKS
	if (gw_ref_read(r) != 0)
		gw_sync_bug("a reference count was thawed that was not frozen");
#endif
	gw_u32_store_release(&r->count, n);
}

/* ---- RCU ---- */

typedef struct gw_rcu_head gw_rcu_head;

struct gw_rcu_head {
	void *queue[2]; /* liburcu's struct rcu_head: rcu.c is the only file that includes liburcu
			 */
	void (*fn)(gw_rcu_head *head);
};

void gw_rcu_read_lock(void);
void gw_rcu_read_unlock(void);
void gw_rcu_defer(gw_rcu_head *head, void (*fn)(gw_rcu_head *head));
void gw_rcu_barrier(void);

/* ---- per-CPU counters ---- */

typedef struct {
	gw_atomic_u64 *rows; /* [cpu][counter]; a row begins a cache line */
	unsigned n_counters, n_cpus;
	size_t row;   /* words from one row to the next */
	void *memory; /* what alloc gave, `bytes` large; rows begins at its first cache line */
	size_t bytes;
} gw_percpu_u64;

GW_MUST_CHECK int gw_percpu_init(gw_percpu_u64 *c, unsigned n_counters, unsigned n_cpus,
	void *(*alloc)(void *ctx, size_t bytes), void *ctx);
void gw_percpu_destroy(
	gw_percpu_u64 *c, void (*release)(void *ctx, void *p, size_t bytes), void *ctx);
int64_t gw_percpu_sum(const gw_percpu_u64 *c, unsigned counter);

static inline gw_atomic_u64 *
gw_percpu_word(gw_percpu_u64 *c, unsigned counter)
{
	unsigned cpu = gw_current_cpu();

#if GW_CHECKS
	if (cpu >= c->n_cpus || counter >= c->n_counters)
		gw_sync_bug("a counter or CPU that a per-CPU counter does not have");
#endif
	return &c->rows[cpu * c->row + counter];
}

static inline void
gw_percpu_add(gw_percpu_u64 *c, unsigned counter, int64_t n)
{
	gw_u64_add_relaxed(gw_percpu_word(c, counter), (uint64_t)n);
}

#endif
