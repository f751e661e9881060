/* SPDX-License-Identifier: MIT */
/*
 * rcu.c - RCU read sections and deferred frees, by liburcu's memb flavour.
 *
 * Idea. Reading costs a store and a compiler barrier; the grace period pays with
 * membarrier(2). Deferred frees run on liburcu's own thread, one per process, on which no
 * task is attached.
 *
 * liburcu is linked, its inline functions (_LGPL_SOURCE) are not used: a read section costs
 * two calls more, and neither its licence nor its structures enter our headers.
 *
 * ThreadSanitizer does not see into liburcu: it would report a deferred free as a race with
 * readers that left before it. The two annotations below tell it what RCU guarantees: what
 * came before a read section's end, or before a deferral, comes before a callback that runs
 * later. They order a little more than RCU does (a reader that began after the
 * deferral), so a misuse of that kind may go unreported; none is reported falsely. And what
 * liburcu's barrier allocates in the caller and frees on its own thread is not looked at.
 */
#include <urcu/urcu-memb.h>

#include "engine/sync/sync.h"
#include "engine/sync/thread/rcu_internal.h"

_Static_assert(sizeof(struct rcu_head) <= sizeof(((gw_rcu_head *)0)->queue) &&
		       _Alignof(struct rcu_head) <= _Alignof(gw_rcu_head),
	"liburcu's queue entry fits in ours");

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define GW_TSAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define GW_TSAN 1
#endif

#ifdef GW_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
static char tsan_tag; /* only its address is used */
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
#define TSAN_IGNORE_BEGIN()	AnnotateIgnoreWritesBegin(__FILE__, __LINE__)
#define TSAN_IGNORE_END()	AnnotateIgnoreWritesEnd(__FILE__, __LINE__)
#define TSAN_BEFORE_CALLBACKS() __tsan_release(&tsan_tag)
#define TSAN_AFTER_READERS()	__tsan_acquire(&tsan_tag)
#else
#define TSAN_IGNORE_BEGIN()	((void)0)
#define TSAN_IGNORE_END()	((void)0)
#define TSAN_BEFORE_CALLBACKS() ((void)0)
#define TSAN_AFTER_READERS()	((void)0)
#endif

void
gw_rcu_thread_enter(void)
{
	urcu_memb_register_thread();
}

void
gw_rcu_thread_leave(void)
{
	urcu_memb_unregister_thread();
}

void
gw_rcu_read_lock(void)
{
#if GW_CHECKS
	struct gw_task *task = gw_current();

	if (task)
		task->rcu_depth++;
	else
		gw_sync_bug("an RCU section without a task");
#endif
	urcu_memb_read_lock();
}

void
gw_rcu_read_unlock(void)
{
	TSAN_BEFORE_CALLBACKS();
	urcu_memb_read_unlock();
#if GW_CHECKS
	struct gw_task *task = gw_current();

	if (task && task->rcu_depth > 0)
		task->rcu_depth--;
	else
		gw_sync_bug("the end of an RCU section that did not begin");
#endif
}

static void
run_deferred(struct rcu_head *queue)
{
	gw_rcu_head *head = (gw_rcu_head *)((char *)queue - offsetof(gw_rcu_head, queue));

	TSAN_AFTER_READERS();
	head->fn(head);
	TSAN_BEFORE_CALLBACKS(); /* for gw_rcu_barrier() */
}

void
gw_rcu_defer(gw_rcu_head *head, void (*fn)(gw_rcu_head *head))
{
	head->fn = fn;
	TSAN_BEFORE_CALLBACKS();
	urcu_memb_call_rcu((struct rcu_head *)(void *)head->queue, run_deferred);
}

void
gw_rcu_barrier(void)
{
	gw_might_sleep();
	TSAN_IGNORE_BEGIN();
	urcu_memb_barrier();
	TSAN_IGNORE_END();
	TSAN_AFTER_READERS();
}
