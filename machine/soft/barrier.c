/* SPDX-License-Identifier: MIT */
/*
 * barrier.c - a memory barrier on all threads of this process, by membarrier(2).
 */
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "machine/soft/soft_internal.h"

bool
gw_membarrier_register(void)
{
	long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	if (commands < 0 || !(commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED))
		return false;
	return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

void
gw_membarrier(void)
{
	long err = syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);

	/* A registered process is never refused. */
	GW_BUG_ON(gw_current() ? gw_current()->machine : NULL, err != 0);
}
