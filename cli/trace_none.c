/* SPDX-License-Identifier: MIT */
/*
 * trace_none.c - no tracepoints: built without libtracefs.
 */
#include <errno.h>
#include <stdio.h>

#include "trace.h"

int
trace_start(struct trace **out, struct gw_error *why)
{
	*out = NULL;
	snprintf(why->text, sizeof why->text, "godwit was built without libtracefs");
	return -EOPNOTSUPP;
}

int
trace_ends(struct trace *trace, struct trace_end *ends, unsigned max)
{
	(void)trace;
	(void)ends;
	(void)max;
	return 0;
}

void
trace_stop(struct trace *trace)
{
	(void)trace;
}
