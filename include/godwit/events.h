/* SPDX-License-Identifier: MIT */
/*
 * events.h - the vm counters, under the kernel's names (DESIGN 2.6, FACTS 3.4).
 */
#ifndef GODWIT_EVENTS_H
#define GODWIT_EVENTS_H

#define GW_VM_EVENTS(X)                                                                            \
	X(PGALLOC, "pgalloc")                                                                      \
	X(PGFREE, "pgfree")                                                                        \
	X(PGMIGRATE_SUCCESS, "pgmigrate_success")                                                  \
	X(PGMIGRATE_FAIL, "pgmigrate_fail")                                                        \
	X(THP_MIGRATION_SUCCESS, "thp_migration_success")                                          \
	X(THP_MIGRATION_FAIL, "thp_migration_fail")                                                \
	X(THP_MIGRATION_SPLIT, "thp_migration_split")                                              \
	X(THP_FAULT_ALLOC, "thp_fault_alloc")                                                      \
	X(THP_FAULT_FALLBACK, "thp_fault_fallback")                                                \
	X(THP_COLLAPSE_ALLOC, "thp_collapse_alloc")                                                \
	X(THP_COLLAPSE_ALLOC_FAILED, "thp_collapse_alloc_failed")                                  \
	X(THP_SPLIT_PAGE, "thp_split_page")                                                        \
	X(THP_SPLIT_PAGE_FAILED, "thp_split_page_failed")                                          \
	X(THP_SPLIT_PMD, "thp_split_pmd")                                                          \
	X(THP_DEFERRED_SPLIT_PAGE, "thp_deferred_split_page")                                      \
	X(THP_UNDERUSED_SPLIT_PAGE, "thp_underused_split_page")                                    \
	X(COMPACT_MIGRATE_SCANNED, "compact_migrate_scanned")                                      \
	X(COMPACT_FREE_SCANNED, "compact_free_scanned")                                            \
	X(COMPACT_ISOLATED, "compact_isolated")                                                    \
	X(COMPACT_STALL, "compact_stall")                                                          \
	X(COMPACT_FAIL, "compact_fail")                                                            \
	X(COMPACT_SUCCESS, "compact_success")                                                      \
	X(COMPACT_DAEMON_WAKE, "compact_daemon_wake")                                              \
	X(COMPACT_DAEMON_MIGRATE_SCANNED, "compact_daemon_migrate_scanned")                        \
	X(COMPACT_DAEMON_FREE_SCANNED, "compact_daemon_free_scanned")                              \
	X(HTLB_BUDDY_ALLOC_SUCCESS, "htlb_buddy_alloc_success")                                    \
	X(HTLB_BUDDY_ALLOC_FAIL, "htlb_buddy_alloc_fail")                                          \
	X(CMA_ALLOC_SUCCESS, "cma_alloc_success")                                                  \
	X(CMA_ALLOC_FAIL, "cma_alloc_fail")                                                        \
	X(PGFAULT, "pgfault")                                                                      \
	X(PGMAJFAULT, "pgmajfault")                                                                \
	X(PSWPIN, "pswpin")                                                                        \
	X(PSWPOUT, "pswpout")                                                                      \
	X(PGACTIVATE, "pgactivate")                                                                \
	X(PGDEACTIVATE, "pgdeactivate")                                                            \
	X(PGSCAN_KSWAPD, "pgscan_kswapd")                                                          \
	X(PGSCAN_DIRECT, "pgscan_direct")                                                          \
	X(PGSCAN_KHUGEPAGED, "pgscan_khugepaged")                                                  \
	X(PGSCAN_PROACTIVE, "pgscan_proactive")                                                    \
	X(PGSTEAL_KSWAPD, "pgsteal_kswapd")                                                        \
	X(PGSTEAL_DIRECT, "pgsteal_direct")                                                        \
	X(PGSTEAL_KHUGEPAGED, "pgsteal_khugepaged")                                                \
	X(PGSTEAL_PROACTIVE, "pgsteal_proactive")                                                  \
	X(PAGEOUTRUN, "pageoutrun")                                                                \
	X(ALLOCSTALL, "allocstall")                                                                \
	X(BALLOON_INFLATE, "balloon_inflate")                                                      \
	X(BALLOON_DEFLATE, "balloon_deflate")                                                      \
	X(BALLOON_MIGRATE, "balloon_migrate")                                                      \
	X(COW_KSM, "cow_ksm")                                                                      \
	X(NUMA_PTE_UPDATES, "numa_pte_updates")                                                    \
	X(NUMA_HUGE_PTE_UPDATES, "numa_huge_pte_updates")                                          \
	X(NUMA_HINT_FAULTS, "numa_hint_faults")                                                    \
	X(NUMA_HINT_FAULTS_LOCAL, "numa_hint_faults_local")                                        \
	X(NUMA_PAGES_MIGRATED, "numa_pages_migrated")                                              \
	X(PGPROMOTE_SUCCESS, "pgpromote_success")                                                  \
	X(PGPROMOTE_CANDIDATE, "pgpromote_candidate")                                              \
	X(PGPROMOTE_CANDIDATE_NRL, "pgpromote_candidate_nrl")                                      \
	X(PGDEMOTE_KSWAPD, "pgdemote_kswapd")                                                      \
	X(PGDEMOTE_DIRECT, "pgdemote_direct")                                                      \
	X(PGDEMOTE_KHUGEPAGED, "pgdemote_khugepaged")                                              \
	X(PGDEMOTE_PROACTIVE, "pgdemote_proactive")                                                \
	X(UNEVICTABLE_PGS_CULLED, "unevictable_pgs_culled")                                        \
	X(UNEVICTABLE_PGS_RESCUED, "unevictable_pgs_rescued")

enum gw_vm_event {
#define GW_VM_EVENT_ENUM(id, name) GW_VM_##id,
	GW_VM_EVENTS(GW_VM_EVENT_ENUM)
#undef GW_VM_EVENT_ENUM
		GW_VM_NR
};

/* The kernel's name of a counter; lives for ever. */
const char *gw_vm_event_name(enum gw_vm_event event);

#endif
