/* SPDX-License-Identifier: MIT */
/*
 * fuzz_text.h - what the fuzzers of text parsers have in common.
 *
 * Every parser must, on any bytes at all: stay inside them, leave what it allocated in the
 * snapshot, and say what is wrong in one line. Each fuzzer adds what must hold on success.
 */
#ifndef GODWIT_FUZZ_TEXT_H
#define GODWIT_FUZZ_TEXT_H

#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "observe/procfs.h"

typedef int (*fuzz_parser)(
	const char *text, size_t len, struct gw_snapshot *snap, struct gw_error *err);

/* True if the text was taken; false if it was refused as it must be. */
static inline bool
fuzz_parse(fuzz_parser parse, const uint8_t *data, size_t size, struct gw_snapshot *snap)
{
	struct gw_error err = {""};
	int ret = parse((const char *)data, size, snap, &err);

	if (ret == 0)
		return true;
	FUZZ_CHECK(ret == -EINVAL || ret == -ENOMEM);
	FUZZ_CHECK(err.text[0] != '\0');
	for (const char *p = err.text; *p; p++)
		FUZZ_CHECK(*p >= ' ' && *p <= '~');
	return false;
}

/* Two zones for the parsers that need some; false if there is no memory for them. */
static inline bool
fuzz_zones(struct gw_snapshot *snap)
{
	static const char text[] = "Node 0, zone DMA\n pages free 9\n spanned 4095\n present 9\n"
				   " managed 9\n start_pfn: 1\n"
				   "Node 0, zone Normal\n pages free 9\n spanned 5505024\n"
				   " present 9\n managed 9\n start_pfn: 1048576\n";

	return gw_parse_zoneinfo(text, sizeof(text) - 1, snap, NULL) == 0;
}

#endif
