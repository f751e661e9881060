/* SPDX-License-Identifier: MIT */
/* godwit.h - the whole library: a page-migration stack that runs anywhere. */
#ifndef GODWIT_H
#define GODWIT_H

#include "types.h"
#include "task.h"
#include "machine.h"
#include "fix.h"
#include "seed.h"
#include "alloc.h"
#include "zone.h"
#include "numa.h"
#include "policy.h"
#include "migrate.h"
#include "huge.h"
#include "hugetlb.h"
#include "compact.h"
#include "contig.h"
#include "mm.h"
#include "balloon.h"
#include "ksm.h"
#include "file.h"
#include "swap.h"
#include "memcg.h"
#include "reclaim.h"
#include "soft.h"
#include "kind.h"
#include "snapshot.h"
#include "twin.h"
#include "plan.h"
#include "range_plan.h"

#endif
