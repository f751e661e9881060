/* SPDX-License-Identifier: MIT */
/*
 * collapse.c - 512 small pages become one huge page (FACTS 2.4).
 *
 * Idea. The lowest table of the range is taken out of the page table: from then on nobody gets at
 * the pages through this address space. If each of them can be locked and has no reference but
 * those that are accounted for, they are copied, and a huge entry takes the table's place. Up to
 * then nothing has changed that putting the table back would not undo.
 *   L1  look        is it worth it, within the limits; what is swapped is noted
 *   L2  get new     a huge page, charged, with no lock held
 *   L3  swap in     by faults; what is swapped out again meanwhile ends it in L6
 *   L4  lock        mmap_lock for writing: no faults, no fork, no munmap. The VMA is looked at
 *                   again
 *   L5  detach      the table, with the family's root locked for writing: no walk of rmap; then a
 *                   flush. No write comes in any more
 *   L6  take        every page: locked by trylock, on an LRU list, references counted. The root is
 *                   unlocked: rmap walks for locked pages only
 *   L7  copy        also of pages that others map, too: they cannot write to them in place as long
 *                   as our map counts
 *   L8  install     the huge entry; the empty table is its deposit
 *   L9  let go      of the old pages' maps, references and locks: those that were ours alone are
 *                   free
 *
 * Invariants
 *   L10 a failure up to L6 leaves every entry and every count as it was
 *   L11 references need not be frozen: the entries that a pin would come through are gone or, of a
 *       page that others map, lead to bytes that do not change; who finds the page by its frame
 *       number meets its lock. References that came before L5 are counted in L6
 *
 * Not handled: files; a huge page that is mapped frame by frame is copied, too.
 */
#include "engine/huge/collapse.h"
#include "engine/store/store.h"
#include "engine/virt/policy.h"
#include "engine/virt/rmap.h"

/* MADV_COLLAPSE has no limits. */
static const struct gw_khugepaged no_limits = {
	.max_ptes_none = GW_PTES_PER_TABLE,
	.max_ptes_swap = GW_PTES_PER_TABLE,
	.max_ptes_shared = GW_PTES_PER_TABLE,
};

struct collapse {
	struct gw_machine *m;
	struct gw_mm *mm;
	gw_vaddr_t addr;
	const struct gw_khugepaged *limits;
	bool on_demand; /* by gw_collapse() */
	gw_pfn_t page;	/* the new one */
	/* Seen by one look over the entries. */
	unsigned none, swap, shared, young;
	uint64_t swapped[(GW_PTES_PER_TABLE + 63) / 64]; /* a bit each */
	/* From L4 on. */
	struct gw_vma *vma;
	struct gw_detached table;
	uint64_t marks; /* of all entries */
	unsigned n_locked;
	gw_pfn_t locked[GW_PTES_PER_TABLE]; /* heads */
};

const char *
gw_scan_result_name(enum gw_scan_result result)
{
	static const char *const names[GW_SCAN_NR] = {
		[GW_SCAN_SUCCEED] = "succeeded",
		[GW_SCAN_PMD_NULL] = "pmd_null",
		[GW_SCAN_PMD_MAPPED] = "page_pmd_mapped",
		[GW_SCAN_EXCEED_NONE_PTE] = "exceed_none_pte",
		[GW_SCAN_EXCEED_SWAP_PTE] = "exceed_swap_pte",
		[GW_SCAN_EXCEED_SHARED_PTE] = "exceed_shared_pte",
		[GW_SCAN_PTE_NON_PRESENT] = "pte_non_present",
		[GW_SCAN_LACK_REFERENCED_PAGE] = "lack_referenced_page",
		[GW_SCAN_PAGE_COUNT] = "not_suitable_page_count",
		[GW_SCAN_PAGE_LRU] = "page_not_in_lru",
		[GW_SCAN_PAGE_LOCK] = "page_locked",
		[GW_SCAN_PAGE_ANON] = "page_not_anon",
		[GW_SCAN_VMA_CHECK] = "vma_check_failed",
		[GW_SCAN_ADDRESS_RANGE] = "not_suitable_address_range",
		[GW_SCAN_ALLOC_HUGE_PAGE_FAIL] = "alloc_huge_page_failed",
		[GW_SCAN_SWAP_FAIL] = "swap_in_failed",
	};

	return names[result];
}

/* ---- the VMA: mmap_lock held ---- */

static bool
may_collapse(const struct gw_vma *vma)
{
	return !vma->mapping && vma->flags & (GW_VM_READ | GW_VM_WRITE) &&
	       !(vma->flags & (GW_VM_NOHUGEPAGE | GW_VM_TEMP_STACK | GW_VM_IO | GW_VM_HUGETLB)) &&
	       vma->mm->machine->config.max_order >= GW_PMD_ORDER;
}

bool
gw_khugepaged_wants(const struct gw_vma *vma)
{
	const struct gw_thp_tunables *thp = &vma->mm->machine->thp;

	if (thp->enabled == GW_THP_NEVER || !(thp->orders >> GW_PMD_ORDER & 1))
		return false;
	return may_collapse(vma) && (thp->enabled == GW_THP_ALWAYS || vma->flags & GW_VM_HUGEPAGE);
}

static enum gw_scan_result
find_vma(struct collapse *c)
{
	c->vma = gw_vma_find(c->mm, c->addr);
	if (!c->vma || gw_vma_start(c->vma) > c->addr ||
		gw_vma_end(c->vma) < c->addr + GW_HUGE_SIZE)
		return GW_SCAN_ADDRESS_RANGE;
	if (!(c->on_demand ? may_collapse(c->vma) : gw_khugepaged_wants(c->vma)))
		return GW_SCAN_VMA_CHECK;
	return GW_SCAN_SUCCEED;
}

/* ---- the entries ---- */

static uint32_t
expected_refs(const struct gw_page *page)
{
	return gw_u32_load_relaxed(&page->mapcount) +
	       ((gw_page_flags(page) & GW_PG_SWAPCACHE) != 0);
}

/* `more`: references of ours besides the entry's. */
static enum gw_scan_result
look_at_page(const struct collapse *c, gw_pfn_t head, uint32_t more)
{
	const struct gw_page *page = gw_page(c->m, head);

	if (!gw_owner_is_anon(gw_ptr_load_relaxed(&page->owner)))
		return GW_SCAN_PAGE_ANON;
	if (!(gw_page_flags(page) & GW_PG_LRU))
		return GW_SCAN_PAGE_LRU;
	if (gw_ref_read(&page->refcount) != expected_refs(page) + more)
		return GW_SCAN_PAGE_COUNT;
	return GW_SCAN_SUCCEED;
}

/* L6: the page's lock and a reference, until let_go_of_pages(). */
static enum gw_scan_result
lock_page(struct collapse *c, gw_pfn_t head)
{
	if (c->n_locked > 0 && c->locked[c->n_locked - 1] == head)
		return GW_SCAN_SUCCEED; /* another frame of a large page */
	if (!gw_page_trylock(c->m, head))
		return GW_SCAN_PAGE_LOCK;
	gw_get_page(c->m, head);
	c->locked[c->n_locked++] = head;
	return look_at_page(c, head, 1);
}

/* One hold of the entry's lock, or L6. */
static enum gw_scan_result
look_at_entry(struct collapse *c, unsigned i, gw_pte_t pte, bool take)
{
	gw_pfn_t frame = gw_pte_pfn(pte), head;

	c->marks |= pte & (GW_PTE_YOUNG | GW_PTE_DIRTY | GW_PTE_SOFT_DIRTY);
	if (!pte || pte & GW_PTE_ZERO)
		return ++c->none > c->limits->max_ptes_none ? GW_SCAN_EXCEED_NONE_PTE
							    : GW_SCAN_SUCCEED;
	if (gw_pte_kind(pte) == GW_PTE_IS_SWAP && !take) {
		c->swapped[i / 64] |= UINT64_C(1) << i % 64;
		return ++c->swap > c->limits->max_ptes_swap ? GW_SCAN_EXCEED_SWAP_PTE
							    : GW_SCAN_SUCCEED;
	}
	if (!(pte & GW_PTE_PRESENT))
		return GW_SCAN_PTE_NON_PRESENT;
	head = gw_page_head(c->m, frame);
	c->young += pte & GW_PTE_YOUNG || gw_page_flags(gw_page(c->m, head)) & GW_PG_REFERENCED;
	if (gw_frame_mapcount(c->m, frame) > 1 && ++c->shared > c->limits->max_ptes_shared)
		return GW_SCAN_EXCEED_SHARED_PTE;
	return take ? lock_page(c, head) : look_at_page(c, head, 0);
}

static enum gw_scan_result
look_at_entries(struct collapse *c, gw_atomic_u64 *words, bool take)
{
	enum gw_scan_result result = GW_SCAN_SUCCEED;

	c->none = c->swap = c->shared = c->young = 0;
	c->marks = 0;
	for (unsigned i = 0; i < GW_PTES_PER_TABLE && result == GW_SCAN_SUCCEED; i++)
		result = look_at_entry(c, i, gw_u64_load_relaxed(&words[i]), take);
	return result;
}

/* ---- L1 to L3 ---- */

static enum gw_scan_result
look_at_table(struct collapse *c)
{
	enum gw_scan_result result;
	gw_spinlock *lock;
	gw_atomic_u64 *words = gw_pmd_lock(c->mm, c->addr, &lock);

	if (words) {
		gw_spin_unlock(lock);
		return GW_SCAN_PMD_MAPPED;
	}
	words = gw_pte_lock(c->mm, c->addr, &lock);
	if (!words)
		return GW_SCAN_PMD_NULL;
	result = look_at_entries(c, words, false);
	gw_spin_unlock(lock);
	if (result == GW_SCAN_SUCCEED && !c->on_demand &&
		(c->young == 0 || (c->swap > 0 && c->young < GW_PTES_PER_TABLE / 2)))
		return GW_SCAN_LACK_REFERENCED_PAGE;
	return result;
}

static enum gw_scan_result
look(struct collapse *c, struct gw_page_source *source)
{
	enum gw_scan_result result;

	gw_rw_read_lock(&c->mm->mmap_lock);
	result = find_vma(c);
	if (result == GW_SCAN_SUCCEED) {
		*source = gw_vma_source(c->vma, c->addr);
		result = look_at_table(c);
	}
	gw_rw_read_unlock(&c->mm->mmap_lock);
	return result;
}

static enum gw_scan_result
get_new_page(struct collapse *c, const struct gw_page_source *source)
{
	int err = gw_alloc_source(c->m, GW_GFP_USER_MOVABLE, source, GW_PMD_ORDER, &c->page);

	gw_count(c->m, err ? GW_VM_THP_COLLAPSE_ALLOC_FAILED : GW_VM_THP_COLLAPSE_ALLOC, 1);
	return err ? GW_SCAN_ALLOC_HUGE_PAGE_FAIL : GW_SCAN_SUCCEED;
}

static enum gw_scan_result
swap_in(struct collapse *c)
{
	for (unsigned i = 0; i < GW_PTES_PER_TABLE && c->swap > 0; i++) {
		if (!(c->swapped[i / 64] >> i % 64 & 1))
			continue;
		if (gw_fault(c->mm, c->addr + i * GW_PAGE_SIZE, GW_ACCESS_READ))
			return GW_SCAN_SWAP_FAIL;
	}
	if (c->swap > 0)
		gw_lru_add_drain_all(c->m); /* batches hold references */
	return GW_SCAN_SUCCEED;
}

/* ---- L5 to L9: mmap_lock held for writing ---- */

static void
let_go_of_pages(const struct collapse *c)
{
	for (unsigned i = 0; i < c->n_locked; i++) {
		gw_swap_page_unlock(c->m, c->locked[i]);
		gw_put_page(c->m, c->locked[i]);
	}
}

/* L5, L6 */
static enum gw_scan_result
take_pages(struct collapse *c)
{
	struct gw_anon_vma *anon_vma;
	enum gw_scan_result result;

	if (gw_anon_vma_prepare(c->vma)) /* nothing but zero pages: it has none */
		return GW_SCAN_ALLOC_HUGE_PAGE_FAIL;
	anon_vma = gw_ptr_load_relaxed(&c->vma->anon_vma);
	gw_anon_vma_write_lock(anon_vma);
	if (!gw_table_detach(c->mm, c->addr, &c->table)) {
		gw_anon_vma_write_unlock(anon_vma);
		return GW_SCAN_PMD_MAPPED; /* another task was faster */
	}
	result = look_at_entries(c, c->table.words, true);
	if (result != GW_SCAN_SUCCEED)
		gw_table_reattach(c->mm, &c->table);
	gw_anon_vma_write_unlock(anon_vma);
	if (result != GW_SCAN_SUCCEED)
		let_go_of_pages(c);
	return result;
}

/* L7. What was never written comes from the zero page. */
static void
copy_pages(const struct collapse *c)
{
	struct gw_copy copies[GW_PTES_PER_TABLE], *last = NULL;
	gw_pfn_t zero_page = gw_u32_load_relaxed(&c->m->zero_page);
	size_t n = 0;

	for (unsigned i = 0; i < GW_PTES_PER_TABLE; i++) {
		gw_pte_t pte = gw_u64_load_relaxed(&c->table.words[i]);
		gw_pfn_t src = gw_pte_is_page(pte) ? gw_pte_pfn(pte) : zero_page;

		if (last && last->src + last->n == src && src != zero_page) {
			last->n++;
			continue;
		}
		last = &copies[n];
		*last = (struct gw_copy){.dst = c->page + i, .src = src, .n = 1};
		n++;
	}
	c->m->ops->copy_frames(c->m->ctx, copies, n);
}

/* Of the huge entry. Dirty alone would keep the first write from being seen (soft-dirty). */
static uint64_t
entry_flags(const struct collapse *c)
{
	uint64_t flags = c->marks;

	if (!(flags & GW_PTE_SOFT_DIRTY))
		flags &= ~(uint64_t)GW_PTE_DIRTY;
	return flags | (c->vma->flags & GW_VM_WRITE ? GW_PTE_WRITE : 0);
}

/* L8, L9 */
static void
install(struct collapse *c)
{
	gw_pte_t old[GW_PTES_PER_TABLE];
	uint64_t n_pages = 0;

	for (unsigned i = 0; i < GW_PTES_PER_TABLE; i++) {
		old[i] = gw_u64_load_relaxed(&c->table.words[i]);
		gw_u64_store_relaxed(&c->table.words[i], 0);
		n_pages += gw_pte_is_page(old[i]);
	}
	gw_u64_sub_relaxed(&c->mm->pages, n_pages);
	gw_rmap_new_large(c->m, c->page, c->vma, c->addr, true);
	gw_lru_add(c->m, c->page, GW_LRU_ACTIVE_ANON);
	gw_table_collapse(c->mm, &c->table, c->page, entry_flags(c));
	if (c->vma->flags & GW_VM_LOCKED)
		gw_mlock_page(c->m, c->page);
	for (unsigned i = 0; i < GW_PTES_PER_TABLE; i++)
		if (gw_pte_is_page(old[i]))
			gw_zap_page(c->vma, old[i]);
	let_go_of_pages(c);
}

/* L4 to L9 */
static enum gw_scan_result
replace(struct collapse *c)
{
	enum gw_scan_result result;

	gw_rw_write_lock(&c->mm->mmap_lock);
	result = find_vma(c);
	if (result == GW_SCAN_SUCCEED)
		result = take_pages(c);
	if (result == GW_SCAN_SUCCEED) {
		copy_pages(c);
		install(c);
	}
	gw_rw_write_unlock(&c->mm->mmap_lock);
	return result;
}

/* ---- all of it ---- */

enum gw_scan_result
gw_collapse_range(struct gw_mm *mm, gw_vaddr_t addr, const struct gw_khugepaged *limits)
{
	struct collapse c = {
		.m = mm->machine,
		.mm = mm,
		.addr = addr,
		.limits = limits ? limits : &no_limits,
		.on_demand = !limits,
	};
	struct gw_page_source source;
	enum gw_scan_result result = look(&c, &source);

	if (result == GW_SCAN_SUCCEED)
		result = get_new_page(&c, &source);
	if (result != GW_SCAN_SUCCEED)
		return result;
	result = swap_in(&c);
	if (result == GW_SCAN_SUCCEED)
		result = replace(&c);
	if (result != GW_SCAN_SUCCEED)
		gw_put_page(c.m, c.page);
	return result;
}

static int
to_errno(enum gw_scan_result result)
{
	switch (result) {
	case GW_SCAN_SUCCEED:
	case GW_SCAN_PMD_MAPPED:
		return 0;
	case GW_SCAN_ALLOC_HUGE_PAGE_FAIL:
		return -ENOMEM;
	case GW_SCAN_PAGE_COUNT:
	case GW_SCAN_PAGE_LRU:
	case GW_SCAN_PAGE_LOCK:
	case GW_SCAN_PTE_NON_PRESENT:
		return -EAGAIN;
	default:
		return -EINVAL;
	}
}

int
gw_collapse(struct gw_mm *mm, gw_vaddr_t addr, uint64_t len, enum gw_scan_result *why)
{
	enum gw_scan_result last = GW_SCAN_SUCCEED;
	gw_vaddr_t end;
	int err = gw_check_range(addr, len, &end);

	if (err)
		return err;
	gw_might_sleep();
	gw_lru_add_drain_all(mm->machine); /* batches hold references */
	addr = (addr + GW_HUGE_SIZE - 1) & ~(GW_HUGE_SIZE - 1);
	for (; addr + GW_HUGE_SIZE <= end; addr += GW_HUGE_SIZE) {
		enum gw_scan_result result = gw_collapse_range(mm, addr, NULL);

		if (to_errno(result))
			last = result;
	}
	if (why)
		*why = last;
	return to_errno(last);
}
