/* SPDX-License-Identifier: MIT */
/*
 * trace.c - how a compaction run of this process ended (trace.h), through libtracefs.
 *
 * A file of the instance is kept open: an instance in use cannot be removed, so one that can
 * be was left behind by a run that was killed.
 */
#define _GNU_SOURCE /* unshare() */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <tracefs.h>
#include <unistd.h>

#include "trace.h"

#define INSTANCE      "godwit"
#define MOUNT_POINT   "/sys/kernel/tracing"
#define BUFFER_SIZE_K "64" /* per CPU; a run is one event a zone */

struct trace {
	struct tracefs_instance *instance;
	struct tep_handle *tep;
	int busy_fd; /* keeps the instance from being removed under us */
};

static int
missing(struct gw_error *why, int code, const char *what)
{
	snprintf(why->text, sizeof why->text, "%s: %s", what, strerror(code));
	return -code;
}

/* In a mount namespace of our own, which ends with this process. */
static int
mount_privately(struct gw_error *why)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
		mount("tracefs", MOUNT_POINT, "tracefs", flags, NULL) != 0)
		return missing(why, errno, "tracefs is not mounted and could not be");
	return 0;
}

static int
make_instance(struct trace *t, struct gw_error *why)
{
	for (int tries = 0; tries < 2; tries++) {
		t->instance = tracefs_instance_create(INSTANCE);
		if (!t->instance)
			return missing(why, errno ? errno : EIO, "tracing instance " INSTANCE);
		if (tracefs_instance_is_new(t->instance))
			return 0;
		if (tracefs_instance_destroy(t->instance) != 0) {
			tracefs_instance_free(t->instance);
			t->instance = NULL;
			return missing(why, EBUSY, "tracing instance " INSTANCE);
		}
		tracefs_instance_free(t->instance);
		t->instance = NULL;
	}
	return missing(why, EBUSY, "tracing instance " INSTANCE);
}

static int
enable(struct trace *t, struct gw_error *why)
{
	static const char *const systems[] = {"compaction", NULL};
	char pid[16];

	snprintf(pid, sizeof pid, "%d", (int)getpid());
	t->busy_fd = tracefs_instance_file_open(t->instance, "tracing_on", O_RDONLY);
	t->tep = tracefs_local_events_system(tracefs_tracing_dir(), systems);
	if (!t->tep || !tep_find_event_by_name(t->tep, "compaction", "mm_compaction_end"))
		return missing(why, ENOENT, "tracepoint mm_compaction_end");
	if (tracefs_instance_file_write(t->instance, "buffer_size_kb", BUFFER_SIZE_K) < 0 ||
		tracefs_instance_file_write(t->instance, "set_event_pid", pid) < 0 ||
		tracefs_event_enable(t->instance, "compaction", "mm_compaction_end") != 0)
		return missing(why, errno ? errno : EIO, "tracepoint mm_compaction_end");
	return 0;
}

/* libtracefs would mount tracefs for good where it is not: so mount first. */
int
trace_start(struct trace **out, struct gw_error *why)
{
	struct trace *t = calloc(1, sizeof *t);
	int ret = 0;

	if (!t)
		return missing(why, ENOMEM, "tracing instance " INSTANCE);
	t->busy_fd = -1;
	if (tracefs_tracing_dir_is_mounted(false, NULL) <= 0)
		ret = mount_privately(why);
	if (ret == 0)
		ret = make_instance(t, why);
	if (ret == 0)
		ret = enable(t, why);
	if (ret != 0) {
		trace_stop(t);
		return ret;
	}
	*out = t;
	return 0;
}

struct collecting {
	struct trace_end *ends;
	unsigned n, max;
};

/* A field by the name that the format file gives it. */
static bool
take_field(struct tep_event *event, const struct tep_record *record, const char *name,
	unsigned long long *value)
{
	struct tep_format_field *field = tep_find_field(event, name);

	return field && tep_read_number_field(field, record->data, value) == 0;
}

static int
collect(struct tep_event *event, struct tep_record *record, int cpu, void *ctx)
{
	struct collecting *c = ctx;
	unsigned long long start, end, migrate, free_pfn, status;

	(void)cpu;
	if (c->n == c->max || strcmp(event->name, "mm_compaction_end") != 0 ||
		!take_field(event, record, "zone_start", &start) ||
		!take_field(event, record, "zone_end", &end) ||
		!take_field(event, record, "migrate_pfn", &migrate) ||
		!take_field(event, record, "free_pfn", &free_pfn) ||
		!take_field(event, record, "status", &status) || status > GW_COMPACT_SUCCESS)
		return 0;
	c->ends[c->n++] = (struct trace_end){
		.zone_start = start,
		.zone_end = end,
		.migrate_pfn = migrate,
		.free_pfn = free_pfn,
		.result = (enum gw_compact_result)status,
	};
	return 0;
}

int
trace_ends(struct trace *trace, struct trace_end *ends, unsigned max)
{
	struct collecting c = {.ends = ends, .max = max};

	if (trace &&
		tracefs_iterate_raw_events(trace->tep, trace->instance, NULL, 0, collect, &c) != 0)
		return -EIO;
	return (int)c.n;
}

void
trace_stop(struct trace *trace)
{
	if (!trace)
		return;
	if (trace->busy_fd >= 0)
		close(trace->busy_fd);
	if (trace->instance) {
		tracefs_event_disable(trace->instance, "compaction", "mm_compaction_end");
		tracefs_instance_destroy(trace->instance);
		tracefs_instance_free(trace->instance);
	}
	tep_free(trace->tep);
	free(trace);
}
