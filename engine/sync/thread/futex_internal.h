/* SPDX-License-Identifier: MIT */
/*
 * futex_internal.h - sleeping on a word, of this process only.
 *
 * A wake-up may come for nothing (a signal, a waker that is late for an earlier sleep): whoever
 * sleeps looks at the word again.
 */
#ifndef GW_SYNC_THREAD_FUTEX_INTERNAL_H
#define GW_SYNC_THREAD_FUTEX_INTERNAL_H

#include <limits.h>
#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Sleep unless *word differs from `expected`. */
static inline void
futex_wait(uint32_t *word, uint32_t expected)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

/* Wake who sleeps on `word`. Its memory may be gone already: only the address counts. */
static inline void
futex_wake(uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* What struct gw_task.wake holds. */
#define WAKE_WOKEN  1u /* by the waker that took the waiter off its queue: its last access */
#define WAKE_KICKED 2u /* by gw_task_interrupt() */

#endif
