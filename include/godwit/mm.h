/* SPDX-License-Identifier: MIT */
/*
 * mm.h - address spaces: mapping memory, touching it, sharing it, giving it up.
 *
 * Idea. A gw_mm is what a process has of memory: VMAs in order, a four-level page table, users.
 * What Linux does with an address space while pages migrate can be done here: map and unmap, change
 * protection, move and resize, fork with copy-on-write, grow a stack, build and shift exec's
 * temporary stack, exit. Each of these races with migration (FACTS R1 to R15).
 *
 * Invariants
 *   V1  every present entry counts once in its frame's map count and holds one reference on it
 *   V2  every present entry of an anonymous page is found by rmap, and every rmap hit is an entry
 *   V3  a migration entry names a page that is locked and under migration (I1)
 */
#ifndef GODWIT_MM_H
#define GODWIT_MM_H

#include "types.h"

struct gw_mm;
struct gw_mapping;

typedef uint64_t gw_vaddr_t;

/* Of a huge page: 2 MiB, as many frames as a lowest page table has entries. libgodwit-explore is
 * built with 3, which its pkg-config file says: fewer entries are fewer steps (docs/explorer.md).
 */
#ifndef GW_HUGE_ORDER
#define GW_HUGE_ORDER 9
#endif

/* Four levels over 4 KiB pages, of 512 entries each, but for the lowest of the explorer's; the
 * first page is never mapped by itself. */
#define GW_VADDR_END ((gw_vaddr_t)1 << (38 + GW_HUGE_ORDER))

enum gw_prot { GW_PROT_NONE = 0, GW_PROT_READ = 1, GW_PROT_WRITE = 2 };

/* gw_mmap() flags. */
#define GW_MAP_FIXED	 0x1 /* at this address, replacing what is there */
#define GW_MAP_SHARED	 0x4 /* gw_mmap_file(): writes go to the file, not to private copies */
#define GW_MAP_GROWSDOWN 0x2 /* a stack: a touch just below it makes it larger */
#define GW_MAP_EXEC	 0x10 /* gw_mmap_file(): program text; shared, it follows nobody (FACTS 1.7) */
#define GW_MAP_IO	 0x20 /* a device's, as far as policies go: its pages are not moved for one */

#define GW_MAP_HUGETLB                                                                             \
	0x40 /* gw_mmap(): of pages of order 9 of the pool, reserved now (hugetlb.h) */

/* What an access wants of a page. */
enum gw_access { GW_ACCESS_READ, GW_ACCESS_WRITE };

enum gw_advice {
	GW_MADV_DONTNEED,
	GW_MADV_COLD,
	GW_MADV_PAGEOUT, /* reclaim the range's pages that nobody else maps, now */
	GW_MADV_HUGEPAGE,
	GW_MADV_NOHUGEPAGE,
	GW_MADV_MERGEABLE,  /* pages with equal bytes may become one (ksm.h) */
	GW_MADV_UNMERGEABLE /* no more, and those that have are separate again */
};

/*
 * An empty address space with one user. The caller is an attached task and owns the user.
 * Returns 0 or -ENOMEM (also if the machine's frames have no bytes, to hold page tables).
 */
GW_MUST_CHECK int gw_mm_create(struct gw_machine *m, struct gw_mm **out);

/*
 * One more user; give a user up: the last one unmaps everything. Its object is freed with its last
 * count, of which all users together have one. Any attached task; the last put sleeps.
 */
void gw_mm_get(struct gw_mm *mm);
void gw_mm_put(struct gw_mm *mm);

/*
 * One more count; give a count up. Whoever has one, but is no user, may call gw_mm_id(),
 * gw_mm_drop() and gw_mm_get_unless_zero(): one more user, or false, since the last one has gone.
 * Any task, at any time; none sleeps. For those who come back to an address space now and then, and
 * need not keep its memory for that.
 */
void gw_mm_grab(struct gw_mm *mm);
void gw_mm_drop(struct gw_mm *mm);
GW_MUST_CHECK bool gw_mm_get_unless_zero(struct gw_mm *mm);

/*
 * Copy an address space: private pages are shared until written (copy-on-write).
 * Returns 0 or -ENOMEM with the parent as before. Takes the parent's mmap lock for writing.
 */
GW_MUST_CHECK int gw_mm_fork(struct gw_mm *parent, struct gw_mm **out);

/*
 * Map `len` bytes of anonymous memory.
 *   addr  with GW_MAP_FIXED the address, page aligned; else a hint, 0: anywhere
 *   len   bytes, rounded up to pages, not 0
 *   out   the address
 * flags  GW_MAP_FIXED, GW_MAP_GROWSDOWN, GW_MAP_IO, GW_MAP_HUGETLB
 * Returns 0, -EINVAL (alignment, length, range), -ENOMEM (no room, no memory; the pool has not as
 * many pages that nobody else has reserved). HUGETLB: len is rounded up to, and addr must be a
 * multiple of, 512 pages; so must be the ends of what is later unmapped, protected or given up
 * (-EINVAL); moving, COLD and PAGEOUT are not for it. An access may fault with -EFAULT: the pool
 * has no page, for a fork's child, or after contents were given up.
 */
GW_MUST_CHECK int gw_mmap(struct gw_mm *mm, gw_vaddr_t addr, uint64_t len, unsigned prot,
	unsigned flags, gw_vaddr_t *out);

/*
 * Map `len` bytes of a file from its page `pgoff` on. flags: GW_MAP_FIXED, _SHARED, _EXEC, _IO. The
 * mapping keeps a reference on the file. Accesses beyond its end fault with -EFAULT. Errors as
 * gw_mmap(); -EINVAL also if the range goes beyond page 2^32.
 */
GW_MUST_CHECK int gw_mmap_file(struct gw_mm *mm, gw_vaddr_t addr, uint64_t len, unsigned prot,
	unsigned flags, struct gw_mapping *mapping, uint64_t pgoff, gw_vaddr_t *out);

/*
 * The heap's end, as brk(2): 0 asks where it is; else [start, end) is mapped from now on. The heap
 * begins where the first call with an address, page aligned, says. *out is the end afterwards. 0,
 * -EINVAL (below the start), -ENOMEM (something is in the way, or no memory) with nothing changed.
 */
GW_MUST_CHECK int gw_brk(struct gw_mm *mm, gw_vaddr_t end, gw_vaddr_t *out);

/* Unmap a range; parts that are not mapped are fine. Splits VMAs. 0, -EINVAL, -ENOMEM. */
GW_MUST_CHECK int gw_munmap(struct gw_mm *mm, gw_vaddr_t addr, uint64_t len);

/* Change protection. 0; -EINVAL, -ENOMEM (a part is not mapped, or no memory) with nothing changed.
 */
GW_MUST_CHECK int gw_mprotect(struct gw_mm *mm, gw_vaddr_t addr, uint64_t len, unsigned prot);

/*
 * Move and resize a mapping (one VMA). `out` is where it is now: in place if it fits, else
 * elsewhere. 0, -EINVAL, -EFAULT (not one mapping), -ENOMEM.
 */
GW_MUST_CHECK int gw_mremap(
	struct gw_mm *mm, gw_vaddr_t old_addr, uint64_t old_len, uint64_t new_len, gw_vaddr_t *out);

/* As madvise(2). 0, -EINVAL (also DONTNEED, COLD and PAGEOUT of what is locked, in part or wholly;
 * nothing has changed), -ENOMEM (a part is not mapped). */
GW_MUST_CHECK int gw_madvise(
	struct gw_mm *mm, gw_vaddr_t addr, uint64_t len, enum gw_advice advice);

/*
 * Lock a range: its pages are there from now on, and stay, on the unevictable list (migration may
 * move them); or let go. 0, -EINVAL, -ENOMEM (a part is not mapped or allows no access, or no
 * memory: some pages may be there), -EINTR as gw_fault().
 */
GW_MUST_CHECK int gw_mlock(struct gw_mm *mm, gw_vaddr_t addr, uint64_t len, bool lock);

/*
 * exec's temporary stack (R7): map `len` bytes below `top` as a temporary stack, to be written with
 * the new program's arguments; then shift it down by `shift` bytes to its final place. Between the
 * two, rmap cannot be trusted for its pages: migration leaves them alone. `top` and `shift` are in
 * bytes, page aligned; `addr` is any address in the temporary stack. 0, -EINVAL, -ENOMEM (the place
 * is taken, or no memory).
 */
GW_MUST_CHECK int gw_exec_stack(struct gw_mm *mm, gw_vaddr_t top, uint64_t len, gw_vaddr_t *out);
GW_MUST_CHECK int gw_exec_shift(struct gw_mm *mm, gw_vaddr_t addr, uint64_t shift);

/*
 * Make an access possible: what a CPU does when its walk finds no fitting entry.
 * Returns 0 (try the access again: it may fault again), -EFAULT (not mapped, or not allowed),
 * -ENOMEM, -EINTR (the task was interrupted while it waited for a page), the error of the store
 * that the page should have come from.
 */
GW_MUST_CHECK int gw_fault(struct gw_mm *mm, gw_vaddr_t addr, enum gw_access access);

/*
 * What a CPU's page walk finds, setting young and, for a write, dirty on the way: 0 with *pfn and
 * *writable (a later write may use the translation), or -EFAULT: gw_fault() is due. No locks: the
 * caller is a CPU that flushes wait for (gw_machine_ops.flush_range).
 */
GW_MUST_CHECK int gw_mm_walk(
	struct gw_mm *mm, gw_vaddr_t addr, enum gw_access access, gw_pfn_t *pfn, bool *writable);

/* The address space's number among its machine's, never reused: the tag of its translations. */
uint32_t gw_mm_id(const struct gw_mm *mm);

/* Pages mapped by the address space (rss), for tests and reports. */
uint64_t gw_mm_pages(const struct gw_mm *mm);

/* How tasks wait for a page under migration (FACTS 1.3, C1). The last is the default. */
enum gw_wait_era { GW_ERA_HOLD, GW_ERA_DROP, GW_ERA_NONE };

/* Before the machine runs. */
void gw_machine_set_wait_era(struct gw_machine *m, enum gw_wait_era era);

#endif
