/* SPDX-License-Identifier: MIT */
/*
 * probe.h - static probes at the places of the kernel's tracepoints, under their names
 * (DESIGN 2.6).
 *
 * Idea. A probe is one no-op instruction and a note in the program file; perf, bpftrace and
 * systemtap turn it into a breakpoint where somebody asks for it (`perf probe sdt_godwit:*`). Its
 * arguments are those of the tracepoint that people know (FACTS 3.3), as integers.
 * Where the header is missing there are no probes.
 */
#ifndef GW_ENGINE_PHYS_PROBE_H
#define GW_ENGINE_PHYS_PROBE_H

#ifdef GW_HAVE_SDT
#include <sys/sdt.h>
#define GW_PROBE2(name, a, b)		  DTRACE_PROBE2(godwit, name, a, b)
#define GW_PROBE3(name, a, b, c)	  DTRACE_PROBE3(godwit, name, a, b, c)
#define GW_PROBE4(name, a, b, c, d)	  DTRACE_PROBE4(godwit, name, a, b, c, d)
#define GW_PROBE5(name, a, b, c, d, e)	  DTRACE_PROBE5(godwit, name, a, b, c, d, e)
#define GW_PROBE6(name, a, b, c, d, e, f) DTRACE_PROBE6(godwit, name, a, b, c, d, e, f)
#else
#define GW_PROBE2(name, a, b)
#define GW_PROBE3(name, a, b, c)
#define GW_PROBE4(name, a, b, c, d)
#define GW_PROBE5(name, a, b, c, d, e)
#define GW_PROBE6(name, a, b, c, d, e, f)
#endif

#endif
