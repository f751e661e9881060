/* SPDX-License-Identifier: MIT */
/* fixes.c - the fixes that can be left out, by number. */
#include "godwit/fix.h"

#define INFO(constant, fix_name, fix_rows, fix_what)                                               \
	[GW_FIX_##constant] = {.name = fix_name, .rows = fix_rows, .what = fix_what},

const struct gw_fix_info gw_fixes[GW_FIX_NR] = {GW_FIXES(INFO)};
