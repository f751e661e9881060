/* SPDX-License-Identifier: MIT */
/*
 * soft.h - a machine with bytes behind every frame, and CPUs with TLBs.
 *
 * Idea. Frames are 4 KiB each of one anonymous mapping, reserved lazily. A CPU reads and writes
 * virtual addresses of an address space through its TLB, walks the page table on a miss, and faults
 * when it must. A flush reaches every CPU and returns only when none still uses an old
 * translation: the meaning of a shootdown. So that programs can run while their pages move.
 *
 * Invariants
 *   X1  after a flush of a frame no access in progress uses a translation to it
 *   X2  an access is done wholly under one translation per page it touches
 */
#ifndef GODWIT_SOFT_H
#define GODWIT_SOFT_H

#include "file.h"
#include "machine.h"
#include "mm.h"

struct gw_soft;

/*
 * Make a soft machine: `config` as for gw_machine_create(), all frames of its zones free
 * afterwards (seeded). config->n_cpus CPUs with a TLB each.
 * Returns 0, -EINVAL (err), -ENOMEM.
 */
GW_MUST_CHECK int gw_soft_create(
	const struct gw_machine_config *config, struct gw_soft **out, struct gw_error *err);
/* No task attached any more. */
void gw_soft_destroy(struct gw_soft *soft);
struct gw_machine *gw_soft_machine(struct gw_soft *soft);

/*
 * Access memory as the current task's CPU. One thread at a time per CPU number. `len` bytes, any
 * alignment; page by page, each page under one translation (X2).
 * Returns 0, -EFAULT, -ENOMEM, -EINTR as gw_fault(); bytes before the failing page are done.
 */
GW_MUST_CHECK int gw_cpu_read(struct gw_mm *mm, gw_vaddr_t addr, void *buf, size_t len);
GW_MUST_CHECK int gw_cpu_write(struct gw_mm *mm, gw_vaddr_t addr, const void *buf, size_t len);

/* Aligned words: the fast path for benchmarks, and an atomic add that tells the old value (`before`
 * may be NULL). As above, or -EINVAL: not aligned to 8 bytes. */
GW_MUST_CHECK int gw_cpu_load(struct gw_mm *mm, gw_vaddr_t addr, uint64_t *value);
GW_MUST_CHECK int gw_cpu_store(struct gw_mm *mm, gw_vaddr_t addr, uint64_t value);
GW_MUST_CHECK int gw_cpu_add(struct gw_mm *mm, gw_vaddr_t addr, uint64_t n, uint64_t *before);

/* Counters of one CPU, for tests and benchmarks. */
struct gw_cpu_stats {
	uint64_t hits, misses, faults;
	uint64_t flushes; /* shootdowns it has received */
};
void gw_cpu_stats(const struct gw_soft *soft, unsigned cpu, struct gw_cpu_stats *out);

/*
 * Stores for files and swap (godwit/file.h): in memory, and in a real file at `path`, which is made
 * if it is not there. *ctx goes with gw_soft_ram_ops or gw_soft_file_ops and is freed by their
 * release. 0, -ENOMEM, or the host's errno for the file.
 */
extern const struct gw_backing_ops gw_soft_ram_ops, gw_soft_file_ops;
GW_MUST_CHECK int gw_soft_ram_backing(uint64_t pages, void **ctx);
GW_MUST_CHECK int gw_soft_file_backing(const char *path, void **ctx);

#endif
