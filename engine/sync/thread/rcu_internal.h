/* SPDX-License-Identifier: MIT */
/* rcu_internal.h - the calling thread begins and ends to be one of RCU's readers. */
#ifndef GW_SYNC_THREAD_RCU_INTERNAL_H
#define GW_SYNC_THREAD_RCU_INTERNAL_H

void gw_rcu_thread_enter(void);
void gw_rcu_thread_leave(void);

#endif
