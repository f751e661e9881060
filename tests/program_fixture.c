/* SPDX-License-Identifier: MIT */
/*
 * program_fixture.c - see program_fixture.h.
 */
#include "test.h"

#include "godwit/soft.h"
#include "program_fixture.h"

static void *
run(void *arg)
{
	struct program *p = arg;
	struct gw_task task;
	uint64_t before;

	if (gw_task_attach(&task, p->m, 1))
		abort();
	for (unsigned round = 0; round < p->rounds; round++)
		for (unsigned i = 0; i < p->pages; i += p->step) {
			if (gw_cpu_add(p->mm, p->at + i * GW_PAGE_SIZE, 1, &before))
				abort();
			p->mistakes += before != round;
		}
	gw_u32_store_release(&p->done, 1);
	gw_task_detach(&task);
	return NULL;
}

void
program_start(struct program *p)
{
	assert_int_equal(pthread_create(&p->thread, NULL, run, p), 0);
}

bool
program_is_done(const struct program *p)
{
	return gw_u32_load_acquire(&p->done);
}

void
program_end(struct program *p)
{
	pthread_join(p->thread, NULL);
	assert_int_equal(p->mistakes, 0);
}
