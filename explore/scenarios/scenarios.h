/* SPDX-License-Identifier: MIT */
/* scenarios.h - the scenarios of this directory, one file a race. */
#ifndef GW_EXPLORE_SCENARIOS_H
#define GW_EXPLORE_SCENARIOS_H

#include "godwit/explore.h"

#endif
