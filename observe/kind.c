/* SPDX-License-Identifier: MIT */
/*
 * kind.c - from the kernel's page flags to a kind, and what each kind means.
 *
 * Idea. Of the flags that are set together only the most specific one says what the page
 * is; the others are left over or overlaid. So the tests run from the most specific to the
 * least (FACTS 3.1, 3.5), and the first that hits decides.
 *
 * Invariants
 *   K3  a slab page is SLAB, whatever ANON and KSM say: its fields are overlaid
 *   K4  a page that may be free is never called KERNEL: stale marks do not prove use
 */
#include "godwit/kind.h"
#include "builder.h"

#define BIT(n) (UINT64_C(1) << (n))

/* The bits of /proc/kpageflags (FACTS 3.1). */
#define KPF_ERROR	  BIT(1)
#define KPF_REFERENCED	  BIT(2)
#define KPF_UPTODATE	  BIT(3)
#define KPF_DIRTY	  BIT(4)
#define KPF_LRU		  BIT(5)
#define KPF_ACTIVE	  BIT(6)
#define KPF_SLAB	  BIT(7)
#define KPF_WRITEBACK	  BIT(8)
#define KPF_BUDDY	  BIT(10)
#define KPF_MMAP	  BIT(11)
#define KPF_ANON	  BIT(12)
#define KPF_SWAPCACHE	  BIT(13)
#define KPF_SWAPBACKED	  BIT(14)
#define KPF_COMPOUND_HEAD BIT(15)
#define KPF_COMPOUND_TAIL BIT(16)
#define KPF_HUGE	  BIT(17)
#define KPF_UNEVICTABLE	  BIT(18)
#define KPF_HWPOISON	  BIT(19)
#define KPF_NOPAGE	  BIT(20)
#define KPF_KSM		  BIT(21)
#define KPF_THP		  BIT(22)
#define KPF_OFFLINE	  BIT(23)
#define KPF_ZERO_PAGE	  BIT(24)
#define KPF_IDLE	  BIT(25)
#define KPF_PGTABLE	  BIT(26)
#define KPF_RESERVED	  BIT(32)
#define KPF_MLOCKED	  BIT(33)
#define KPF_PRIVATE	  BIT(35)

/* What a page may keep from an earlier life, free or not: no proof of use (K4). */
#define KPF_STALE (KPF_ERROR | KPF_REFERENCED | KPF_UPTODATE | KPF_IDLE)

static const struct gw_kind_info kind_table[GW_KIND_NR] = {
	[GW_KIND_HOLE] = {"hole", "no memory", GW_VERDICT_NONE, "no memory at this address",
		"nothing"},
	[GW_KIND_BUDDY] = {"buddy", "free", GW_VERDICT_FREE, "free in the buddy allocator",
		"nothing to do"},
	[GW_KIND_PCP] = {"pcp", "free, on a CPU's list", GW_VERDICT_FREE,
		"free, held back on a per-CPU list",
		"drained before an explicit run, or with time"},
	[GW_KIND_NOFLAG] = {"noflag", "without any flag", GW_VERDICT_UNMOVABLE,
		"the kernel says nothing about it: free on a CPU's list, or kernel memory",
		"inference from its neighbours"},
	[GW_KIND_ANON] = {"anon", "anonymous", GW_VERDICT_MOVABLE,
		"every mapping of it can be found and replaced", "compaction"},
	[GW_KIND_ANON_SWAPCACHE] = {"anon_swapcache", "anonymous, in the swap cache",
		GW_VERDICT_MOVABLE, "the swap cache slot follows it", "compaction"},
	[GW_KIND_ANON_UNMAPPED] = {"anon_unmapped", "anonymous, going away", GW_VERDICT_RECLAIMABLE,
		"neither mapped nor in the swap cache, so its owner cannot be trusted",
		"soon freed by itself"},
	[GW_KIND_FILE_CLEAN] = {"file_clean", "clean file cache", GW_VERDICT_MOVABLE,
		"its file system can move it, and it can be dropped",
		"compaction, or dropping clean caches"},
	[GW_KIND_FILE_DIRTY] = {"file_dirty", "dirty file cache", GW_VERDICT_MOVABLE,
		"moved where its file system has a way to, else written out first",
		"compaction, or sync"},
	[GW_KIND_WRITEBACK] = {"writeback", "under write-back", GW_VERDICT_RECLAIMABLE,
		"only a synchronous run waits for the device", "sync"},
	[GW_KIND_SHMEM] = {"shmem", "shared memory", GW_VERDICT_MOVABLE,
		"the memory file system can move it", "compaction"},
	[GW_KIND_UNEVICTABLE] = {"unevictable", "locked in memory", GW_VERDICT_MOVABLE,
		"moved while compact_unevictable_allowed is 1",
		"compact_unevictable_allowed=1, or munlock"},
	[GW_KIND_KSM] = {"ksm", "merged (KSM)", GW_VERDICT_MOVABLE,
		"every mapping of it can be found and replaced", "compaction"},
	[GW_KIND_HUGETLB] = {"hugetlb", "huge page pool", GW_VERDICT_RECLAIMABLE,
		"ordinary compaction leaves pool pages where they are",
		"a smaller nr_hugepages, or allocating the range"},
	[GW_KIND_SLAB] = {"slab", "slab", GW_VERDICT_UNMOVABLE, "pointers to its objects exist",
		"dropping slab caches may free some"},
	[GW_KIND_PGTABLE] = {"pgtable", "page tables", GW_VERDICT_UNMOVABLE,
		"the hardware refers to it by address", "ending the process it belongs to"},
	[GW_KIND_KERNEL] = {"kernel", "kernel memory", GW_VERDICT_UNMOVABLE,
		"allocated without a type: stacks, vmalloc, buffers of drivers", "nothing"},
	[GW_KIND_COMPOUND] = {"compound", "kernel memory, compound", GW_VERDICT_UNMOVABLE,
		"allocated without a type: drivers, large kmalloc", "nothing"},
	[GW_KIND_RESERVED] = {"reserved", "reserved", GW_VERDICT_UNMOVABLE,
		"never given to the allocator", "nothing"},
	[GW_KIND_OFFLINE] = {"offline", "offline or ballooned", GW_VERDICT_UNMOVABLE,
		"given away, to the hypervisor or by memory unplug",
		"the balloon driver, where it can move pages"},
	[GW_KIND_ZERO] = {"zero", "zero page", GW_VERDICT_UNMOVABLE,
		"shared by everyone and never moved", "nothing"},
	[GW_KIND_HWPOISON] = {"hwpoison", "broken", GW_VERDICT_UNMOVABLE,
		"the memory itself is faulty", "nothing"},
};

const struct gw_kind_info *
gw_kind_info(enum gw_kind kind)
{
	if ((unsigned)kind >= GW_KIND_NR)
		kind = GW_KIND_NOFLAG;
	return &kind_table[kind];
}

/* Pages that the kernel marks with a type, or keeps from the allocator altogether. */
static enum gw_kind
typed_kind(uint64_t flags)
{
	if (flags & KPF_NOPAGE)
		return GW_KIND_HOLE;
	if (flags & KPF_HWPOISON)
		return GW_KIND_HWPOISON;
	if (flags & KPF_BUDDY)
		return GW_KIND_BUDDY;
	if (flags & KPF_ZERO_PAGE) /* often RESERVED too, which says less */
		return GW_KIND_ZERO;
	if (flags & KPF_RESERVED)
		return GW_KIND_RESERVED;
	if (flags & KPF_SLAB) /* K3 */
		return GW_KIND_SLAB;
	if (flags & KPF_PGTABLE)
		return GW_KIND_PGTABLE;
	if (flags & KPF_OFFLINE)
		return GW_KIND_OFFLINE;
	if (flags & KPF_HUGE)
		return GW_KIND_HUGETLB;
	return GW_KIND_NOFLAG;
}

static enum gw_kind
user_kind(uint64_t flags)
{
	if (flags & (KPF_UNEVICTABLE | KPF_MLOCKED))
		return GW_KIND_UNEVICTABLE;
	if (flags & KPF_WRITEBACK)
		return GW_KIND_WRITEBACK;
	if (flags & KPF_KSM)
		return GW_KIND_KSM;
	if (flags & KPF_ANON) {
		if (flags & KPF_MMAP)
			return GW_KIND_ANON;
		/* SWAPCACHE is only meant when the page is swap-backed as well. */
		if ((flags & KPF_SWAPCACHE) && (flags & KPF_SWAPBACKED))
			return GW_KIND_ANON_SWAPCACHE;
		return GW_KIND_ANON_UNMAPPED;
	}
	if (flags & KPF_SWAPBACKED)
		return GW_KIND_SHMEM;
	if (flags & (KPF_LRU | KPF_ACTIVE)) /* ACTIVE alone: taken off its list just now */
		return flags & KPF_DIRTY ? GW_KIND_FILE_DIRTY : GW_KIND_FILE_CLEAN;
	return GW_KIND_NOFLAG;
}

/* Neither typed nor a user's: what is left of the flags says whether it is in use. */
static enum gw_kind
untyped_kind(uint64_t flags)
{
	if (flags & (KPF_COMPOUND_HEAD | KPF_COMPOUND_TAIL))
		return GW_KIND_COMPOUND;
	if (flags & GW_KPAGEFLAGS_KNOWN & ~KPF_STALE) /* K4 */
		return GW_KIND_KERNEL;
	return GW_KIND_NOFLAG;
}

static gw_frame_t
compound_marks(uint64_t flags)
{
	unsigned marks = 0;

	if (flags & KPF_COMPOUND_HEAD)
		marks |= GW_FRAME_HEAD;
	if (flags & KPF_COMPOUND_TAIL)
		marks |= GW_FRAME_TAIL;
	if (flags & KPF_THP)
		marks |= GW_FRAME_THP;
	return (gw_frame_t)marks;
}

static gw_frame_t
user_marks(uint64_t flags)
{
	unsigned marks = 0;

	if (flags & KPF_LRU)
		marks |= GW_FRAME_LRU;
	if (flags & KPF_ACTIVE)
		marks |= GW_FRAME_ACTIVE;
	if (flags & KPF_DIRTY)
		marks |= GW_FRAME_DIRTY;
	if (flags & KPF_WRITEBACK)
		marks |= GW_FRAME_WRITEBACK;
	if (flags & KPF_MMAP)
		marks |= GW_FRAME_MAPPED;
	/* On anonymous pages this bit means other things. */
	if ((flags & KPF_PRIVATE) && !(flags & KPF_ANON))
		marks |= GW_FRAME_PRIVATE;
	return (gw_frame_t)marks;
}

gw_frame_t
gw_frame_from_kpageflags(uint64_t flags)
{
	enum gw_kind kind = typed_kind(flags);

	if (kind == GW_KIND_HOLE || kind == GW_KIND_BUDDY)
		return (gw_frame_t)kind;
	if (kind != GW_KIND_NOFLAG)
		return (gw_frame_t)((unsigned)kind | compound_marks(flags));

	kind = user_kind(flags);
	if (kind != GW_KIND_NOFLAG)
		return (gw_frame_t)((unsigned)kind | compound_marks(flags) | user_marks(flags));

	return (gw_frame_t)((unsigned)untyped_kind(flags) | compound_marks(flags));
}

/*
 * The count is the page's own; MMAP speaks for the whole folio on recent kernels (a
 * huge page unmapped in part has it on every page), so the count decides. A page without flags
 * and with a count came into use between the two reads: it stays NOFLAG.
 */
gw_frame_t
gw_frame_with_kpagecount(gw_frame_t frame, uint64_t count)
{
	unsigned f = frame & ~(unsigned)(GW_FRAME_MAPPED | GW_FRAME_SHARED);
	enum gw_kind kind = gw_frame_kind(frame);

	if (count == 0 || kind == GW_KIND_HOLE || kind == GW_KIND_BUDDY)
		return (gw_frame_t)f;
	f |= GW_FRAME_MAPPED;
	if (count > 1)
		f |= GW_FRAME_SHARED;
	return (gw_frame_t)f;
}
