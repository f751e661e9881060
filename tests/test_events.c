/* SPDX-License-Identifier: MIT */
/* test_events.c - the vm counters' names (FACTS 1.4 row D23, 3.4). */
#include <string.h>

#include "godwit/godwit.h"
#include "test.h"

/* Of kernels built with CMA: the recorded one has none (FACTS 3.4 has these in brackets). */
static bool
is_left_out(const char *name)
{
	return strcmp(name, "cma_alloc_success") == 0 || strcmp(name, "cma_alloc_fail") == 0;
}

/* D23: every counter has the name that a recorded kernel's /proc/vmstat has for it. That counts
 * allocations by zone: pgalloc and allocstall are the sums. */
static void
names_are_the_kernels(void **state)
{
	struct gw_snapshot snap;
	struct gw_error err;

	(void)state;
	assert_int_equal(gw_snapshot_load("data/thp.before.tar.zst", &snap, &err), 0);
	for (int e = 0; e < GW_VM_NR; e++) {
		const char *name = gw_vm_event_name((enum gw_vm_event)e);

		if (!strcmp(name, "pgalloc"))
			name = "pgalloc_normal";
		if (!strcmp(name, "allocstall"))
			name = "allocstall_normal";
		if (!is_left_out(name) &&
			gw_snapshot_counter(&snap, name, UINT64_MAX) == UINT64_MAX)
			fail_msg("/proc/vmstat has no %s", name);
	}
	gw_snapshot_free(&snap);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_the_kernels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
