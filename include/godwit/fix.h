/* SPDX-License-Identifier: MIT */
/*
 * fix.h - the fixes in the field's history that the explorer can do without (DESIGN 8).
 *
 * Idea. Each of these closed a race that took years to find. The engine has them all; built for
 * the explorer it can be told to leave some out (struct gw_explore_options.without), and then the
 * race is there to be looked at. In the library for threads they are not even asked for: gw_fix()
 * is true when it is compiled (tests/test_fixes_are_free.sh compares the instructions).
 */
#ifndef GODWIT_FIX_H
#define GODWIT_FIX_H

#include "types.h"

/* X(CONSTANT, name, rows of FACTS, what it is, in one line) */
#define GW_FIXES(X)                                                                                \
	X(ANON_VMA_REFCOUNT, "anon-vma-refcount", "R2",                                            \
		"a migration holds a reference on the anon_vma that it will walk again")           \
	X(MAPPED_RECHECK, "mapped-recheck", "R1",                                                  \
		"an anon_vma found through a page is trusted only if the page is still mapped")    \
	X(NO_REMAP_UNMAPPED_SWAPCACHE, "no-remap-unmapped-swapcache", "R3",                        \
		"a page of the swap cache that nobody maps is moved without its anon_vma")         \
	X(ROOT_ANON_VMA_LOCK, "root-anon-vma-lock", "R5, R6",                                      \
		"one lock, the root's, for a family of anon_vmas and the places of its VMAs")      \
	X(SKIP_TEMPORARY_STACK, "skip-temporary-stack", "R7",                                      \
		"pages of exec's temporary stack stay")                                            \
	X(FORK_TAIL_ORDER, "fork-tail-order", "R8",                                                \
		"a walk meets a child's VMA after its parent's")                                   \
	X(FORK_WRITE_ENTRY_DOWNGRADE, "fork-write-entry-downgrade", "R8",                          \
		"fork makes write migration entries of private memory read ones in both")          \
	X(MREMAP_PTE_LOCK, "mremap-pte-lock", "R9",                                                \
		"who removes migration entries looks at an entry under its lock only")             \
	X(REFAULT_FROM_SCRATCH, "refault-from-scratch", "R10",                                     \
		"after the wait for a migration the entry is read again")                          \
	X(BUDDY_ORDER_CLAMP, "buddy-order-clamp", "R11",                                           \
		"a free block's order, read without the zone lock, is not believed")               \
	X(TOO_MANY_ISOLATED, "too-many-isolated", "R12, D12",                                      \
		"who isolates pages waits while too many are isolated")                            \
	X(LOCAL_LRU_DRAIN, "local-lru-drain", "R13, D21",                                          \
		"compaction drains its own CPU's LRU batch, and waits for no other CPU")           \
	X(ATOMIC_COUNTERS, "atomic-counters", "R14, D24",                                          \
		"counting is one operation, even where another task may come in between")          \
	X(ZAP_DOES_NOT_RESTORE, "zap-does-not-restore", "R15",                                     \
		"a migration entry that was zapped does not come back with its page")              \
	X(FREEZE_UNDER_LOCK, "freeze-under-lock", "R16",                                           \
		"a page's references are frozen in the step that replaces it in its cache")        \
	X(PUT_AND_WAIT, "put-and-wait", "C1",                                                      \
		"who waits for a migration holds no reference on the page")                        \
	X(NO_TOUCH_AFTER_DROP, "no-touch-after-drop", "C5, C6",                                    \
		"a waiter that gave up its reference does not look at the page again")             \
	X(UNLOCK_WAKES_IN_RECLAIM, "unlock-wakes-in-reclaim", "C9",                                \
		"reclaim unlocks the page it frees in the way that wakes its waiters")             \
	X(PUT_NEW_PAGE_ONCE, "put-new-page-once", "A1",                                            \
		"an unused new page goes back to whoever gave it, once")                           \
	X(NEWPAGE_TRYLOCK, "newpage-trylock", "A4",                                                \
		"a new page is only tried to be locked: its past user may still hold the lock")    \
	X(SINGLE_REMAP_POINT, "single-remap-point", "A8",                                          \
		"migration entries are removed in one place, before either page is unlocked")      \
	X(ANON_STAYS_ANON, "anon-stays-anon", "A7",                                                \
		"an anonymous page keeps its anon_vma until it is freed")                          \
	X(CHARGE_BEFORE_PUT, "charge-before-put", "A9, E13",                                       \
		"the charge has moved before the old page's last reference goes")                  \
	X(BALLOON_LOCK, "balloon-lock", "A12",                                                     \
		"a page leaves a balloon under its lock: nobody migrates it meanwhile")            \
	X(KSM_WALK_LOCK, "ksm-walk-lock", "R5, R9",                                                \
		"the walk to a merged page's entries holds the lock under which VMAs change")      \
	X(KSM_FOLLOW_WAITS, "ksm-follow-waits", "R9",                                              \
		"who breaks merged pages up waits for those that are under migration")             \
	X(FAULT_EXTRA_REFERENCE, "fault-extra-reference", "E9",                                    \
		"a migration on a fault accounts for the fault's own reference")                   \
	X(MISPLACED_PRECONDITIONS, "misplaced-preconditions", "E2, E4",                            \
		"a page that somebody maps, writes out or reads in is not pulled over by a fault") \
	X(OFFLINE_DROP_WAITERS, "offline-drop-waiters", "C2",                                      \
		"who waits for a page that leaves memory which goes offline holds no reference")   \
	X(SPLIT_RECHECK, "split-recheck", "B8",                                                    \
		"a large page's references are counted again when its entries are frozen")         \
	X(SPLIT_TAIL_ADD, "split-tail-add", "B10",                                                 \
		"a split adds references to its pieces, which others may be getting already")      \
	X(SPLIT_FREEZE, "split-freeze", "B6",                                                      \
		"entries of a page that is split are migration entries meanwhile")                 \
	X(SPLIT_SOFT_DIRTY, "split-soft-dirty", "B13",                                             \
		"entries keep their soft-dirty marks when their page is split")                    \
	X(PMD_ENTRY_WAIT, "pmd-entry-wait", "C8",                                                  \
		"who waits at a huge migration entry gets no reference to a page that has none")   \
	X(HUGETLB_TRYLOCK, "hugetlb-trylock", "A13",                                               \
		"the new page of a hugetlb page is only tried to be locked, too")

#define GW_FIX_CONSTANT_(constant, name, rows, what) GW_FIX_##constant,
enum gw_fix { GW_FIXES(GW_FIX_CONSTANT_) GW_FIX_NR };

/* The bit of struct gw_explore_options.without that leaves a fix out. */
#define GW_WITHOUT(fix) (UINT64_C(1) << (fix))

struct gw_fix_info {
	const char *name, *rows, *what;
};

/* By enum gw_fix; in libgodwit-explore. */
extern const struct gw_fix_info gw_fixes[GW_FIX_NR];

#endif
