/* SPDX-License-Identifier: MIT */
/*
 * hinting.c - finding out who uses which page: entries that no CPU may use until a fault has seen
 * who wants to (FACTS 1.7, 2.3).
 *
 * Idea. Now and then a scan makes the next part of an address space hinting. The next use of such a
 * page is a fault, on the user's CPU. It makes the entry an ordinary one again, and decides whether
 * the page should be moved to where the policy wants it for this user, which by default is his own
 * node. Moving itself is engine/migrate's (struct gw_numa_ops). The fault ends with "look again"
 * either way.
 *
 * Two stages. One use says little. A page moves if the hinting fault before this one came from the
 * same node, too. In the first rounds over a young address space a page also moves on its very
 * first hinting fault: it is where it was allocated, not where it was used.
 *
 * Tiers. A page in slow memory moves up if it is hot, used so soon after the scan, and not too many
 * are promoted already in this second.
 *
 * What is remembered of a page with HINTED stands in its row of the side table, one word: in the
 * top tiers the CPU of its last hinting fault, below them when its entry was made hinting, in
 * milliseconds. A migration carries it along between nodes of one kind.
 *
 * The period of an address space's scans is doubled while at least 7 of 10 hinting faults are local
 * already, or there were none, and halved while they are not, between the bounds of the tunables.
 *
 * Invariants
 *   X1  only present entries hint; an entry's hint comes and goes under its leaf lock
 *   X2  of several tasks that ask for a scan one scans: who changes hinting.next to SCANNING
 */
#include "engine/store/store.h"
#include "engine/virt/policy.h"
#include "engine/virt/virt_internal.h"

#define SCANNING       UINT64_MAX
#define EARLY_ROUNDS   4
#define LOCAL_ENOUGH   7 /* of 10 */
#define VIRTUAL_FACTOR 8 /* address space looked at for each page made hinting */
#define NS_PER_MS      UINT64_C(1000000)
#define NS_PER_S       (1000 * NS_PER_MS)
#define PAGES_PER_MB   (((uint64_t)1 << 20) / GW_PAGE_SIZE)

static uint64_t
now_ns(const struct gw_machine *m)
{
	return m->ops->clock_ns(m->ctx);
}

static uint32_t
now_ms(const struct gw_machine *m)
{
	return (uint32_t)(now_ns(m) / NS_PER_MS);
}

/* ---- what is remembered of a page ---- */

/* The word as it was; false: nothing was known. */
static bool
remember(struct gw_machine *m, gw_pfn_t page, uint32_t word, uint32_t *before)
{
	*before = gw_u32_load_relaxed(&gw_page_extra(m, page)->hint);
	gw_u32_store_relaxed(&gw_page_extra(m, page)->hint, word);
	return gw_u32_or_relaxed(&gw_page(m, page)->flags, GW_PG_HINTED) & GW_PG_HINTED;
}

void
gw_hint_migrate(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src)
{
	uint32_t before;

	if (!(gw_page_flags(gw_page(m, src)) & GW_PG_HINTED) ||
		m->nodes[gw_page_node(m, src)].top_tier != m->nodes[gw_page_node(m, dst)].top_tier)
		return;
	(void)remember(m, dst, gw_u32_load_relaxed(&gw_page_extra(m, src)->hint), &before);
}

/* ---- the scan ---- */

struct scan {
	struct gw_machine *m;
	const struct gw_vma *vma;
	uint64_t changed, left; /* entries */
	uint64_t virtual_left;	/* bytes */
};

/* Pages of files that are only read are shared libraries' mostly, cached where their users are. */
static bool
vma_hints(const struct gw_vma *vma)
{
	struct gw_policy policy = gw_vma_policy(vma);
	bool writable = vma->flags & GW_VM_WRITE;

	if (!gw_vma_migratable(vma) || !(vma->flags & GW_VM_ACCESS) ||
		vma->flags & GW_VM_TEMP_STACK || (vma->mapping && !writable))
		return false;
	return policy.mode == GW_POLICY_DEFAULT || policy.flags & GW_POLICY_NUMA_BALANCING;
}

/* Copy-on-write pages of several have several users; of dirty pages of files few could be moved
 * without waiting. */
static bool
page_hints(const struct scan *scan, gw_pfn_t pfn)
{
	const struct gw_machine *m = scan->m;
	const struct gw_page *page = gw_page(m, pfn);
	uint32_t flags = gw_page_flags(page);

	if (!gw_flags_is_small(flags))
		return false; /* large pages stay */
	if (gw_owner_is_anon(gw_ptr_load_relaxed(&page->owner)) &&
		gw_u32_load_relaxed(&page->mapcount) > 1)
		return false;
	if (scan->vma->mapping && flags & GW_PG_DIRTY)
		return false;
	return m->numa.balancing & GW_BALANCING_NORMAL || !m->nodes[gw_page_node(m, pfn)].top_tier;
}

/* Leaf lock held. */
static bool
make_hinting(const struct scan *scan, gw_atomic_u64 *word)
{
	struct gw_machine *m = scan->m;
	gw_pte_t pte = gw_u64_load_relaxed(word);
	gw_pfn_t page = gw_pte_pfn(pte);
	uint32_t before;

	if (!gw_pte_is_page(pte) || pte & (GW_PTE_NO_ACCESS | GW_PTE_HINT) ||
		!page_hints(scan, page))
		return false;
	gw_u64_or_relaxed(word, GW_PTE_HINT); /* CPUs may mark it meanwhile */
	if (m->numa.balancing & GW_BALANCING_TIERING && !m->nodes[gw_page_node(m, page)].top_tier)
		(void)remember(m, page, now_ms(m), &before);
	return true;
}

/* In one table. Returns where it ended. */
static gw_vaddr_t
scan_table(struct scan *scan, gw_vaddr_t addr, gw_vaddr_t end)
{
	gw_spinlock *lock;
	gw_atomic_u64 *word = gw_pte_lock(scan->vma->mm, addr, &lock);

	if (!word)
		return end;
	for (; addr < end && scan->left; addr += GW_PAGE_SIZE) {
		if (!make_hinting(scan, word++))
			continue;
		scan->changed++;
		scan->left--;
	}
	gw_spin_unlock(lock);
	return addr;
}

static bool
scan_is_over(const struct scan *scan)
{
	return !scan->left || !scan->virtual_left;
}

/* From addr on, in scan->vma. Returns where it ended. */
static gw_vaddr_t
scan_vma(struct scan *scan, gw_vaddr_t addr)
{
	struct gw_mm *mm = scan->vma->mm;
	gw_vaddr_t start = addr, end = gw_vma_end(scan->vma);
	uint64_t before = scan->changed;

	if (end - addr > scan->virtual_left)
		end = addr + scan->virtual_left;
	for (addr = gw_table_next(mm, addr, end); addr < end && scan->left;
		addr = gw_table_next(mm, addr, end))
		addr = scan_table(scan, addr, gw_table_end(addr, end));
	scan->virtual_left -= addr - start;
	if (scan->changed > before)
		gw_flush_range(mm, start, addr);
	return addr;
}

/* mmap_lock held for reading. */
static uint64_t
scan_window(struct gw_mm *mm)
{
	struct gw_hinting *h = &mm->hinting;
	const uint64_t pages = mm->machine->numa.scan_size_mb * PAGES_PER_MB;
	struct scan scan = {.m = mm->machine,
		.left = pages,
		.virtual_left = VIRTUAL_FACTOR * pages * GW_PAGE_SIZE};
	struct gw_vma *vma = gw_vma_find(mm, h->at);

	for (; vma && !scan_is_over(&scan); vma = gw_vma_next(vma, GW_VADDR_END)) {
		gw_vaddr_t from = h->at > gw_vma_start(vma) ? h->at : gw_vma_start(vma);

		scan.vma = vma;
		h->at = vma_hints(vma) ? scan_vma(&scan, from) : gw_vma_end(vma);
		if (h->at < gw_vma_end(vma))
			return scan.changed;
	}
	if (!vma) {
		h->at = 0;
		gw_u32_add_relaxed(&h->rounds, 1);
	}
	return scan.changed;
}

/* X2 */
static bool
claim_scan(struct gw_mm *mm)
{
	const struct gw_machine *m = mm->machine;
	uint64_t now = now_ns(m), next = gw_u64_load_relaxed(&mm->hinting.next);

	if (next == 0) {
		(void)gw_u64_cas_relaxed(
			&mm->hinting.next, &next, now + m->numa.scan_delay_ms * NS_PER_MS + 1);
		return false;
	}
	/* acquire: pairs with the release at the last scan's end */
	return next != SCANNING && now >= next &&
	       gw_u64_cas_acquire(&mm->hinting.next, &next, SCANNING);
}

static void
adapt_period(struct gw_mm *mm)
{
	const struct gw_numa_tunables *numa = &mm->machine->numa;
	struct gw_hinting *h = &mm->hinting;
	uint64_t local = gw_u32_load_relaxed(&h->local), remote = gw_u32_load_relaxed(&h->remote);

	if (h->period_ms == 0)
		h->period_ms = numa->scan_period_min_ms;
	else if (local * 10 >= (local + remote) * LOCAL_ENOUGH)
		h->period_ms *= 2;
	else
		h->period_ms /= 2;
	if (h->period_ms < numa->scan_period_min_ms)
		h->period_ms = numa->scan_period_min_ms;
	if (h->period_ms > numa->scan_period_max_ms)
		h->period_ms = numa->scan_period_max_ms;
	gw_u32_store_relaxed(&h->local, 0);
	gw_u32_store_relaxed(&h->remote, 0);
}

uint64_t
gw_numa_scan(struct gw_mm *mm)
{
	struct gw_machine *m = mm->machine;
	uint64_t changed;

	if (!m->numa.balancing || !claim_scan(mm))
		return 0;
	gw_might_sleep();
	adapt_period(mm);
	gw_rw_read_lock(&mm->mmap_lock);
	changed = scan_window(mm);
	gw_rw_read_unlock(&mm->mmap_lock);
	gw_count(m, GW_VM_NUMA_PTE_UPDATES, changed);
	gw_u64_store_release(&mm->hinting.next, now_ns(m) + mm->hinting.period_ms * NS_PER_MS);
	return changed;
}

/* ---- the fault ---- */

/* One more frame promoted to the node in this second: within the limit? */
static bool
may_promote(struct gw_machine *m, struct gw_node *node)
{
	uint64_t limit = m->numa.promote_rate_limit_mbps * PAGES_PER_MB;
	uint64_t second = now_ns(m) / NS_PER_S + 1; /* 0: none yet */
	uint64_t last = gw_u64_load_relaxed(&node->promote_second);

	gw_count(m, GW_VM_PGPROMOTE_CANDIDATE, 1);
	if (last != second && gw_u64_cas_relaxed(&node->promote_second, &last, second))
		gw_u64_store_relaxed(&node->promoted, 0);
	return gw_u64_add_relaxed(&node->promoted, 1) < limit;
}

static bool
is_hot(struct gw_machine *m, gw_pfn_t page)
{
	uint32_t now = now_ms(m), since;

	return remember(m, page, now, &since) && now - since < m->numa.hot_threshold_ms;
}

/* Did the page's last hinting fault, too, come from this node? */
static bool
second_stage(const struct gw_fault_at *f, gw_pfn_t page)
{
	struct gw_machine *m = f->mm->machine;
	uint32_t last_cpu;

	if (!remember(m, page, gw_current_cpu(), &last_cpu))
		return gw_u32_load_relaxed(&f->mm->hinting.rounds) <= EARLY_ROUNDS;
	return last_cpu < m->config.n_cpus && m->cpu_nodes[last_cpu] == gw_current_node(m);
}

/* The node to move the page to, or -1. mmap_lock held. */
static int
decide(const struct gw_fault_at *f, gw_pfn_t page)
{
	struct gw_machine *m = f->mm->machine;
	struct gw_policy policy = gw_vma_policy(f->vma);
	unsigned node = gw_page_node(m, page);
	bool slow = m->numa.balancing & GW_BALANCING_TIERING && !m->nodes[node].top_tier;
	int wanted = gw_policy_misplaced(m, &policy, gw_vma_index(f->vma, f->addr), node);
	bool moves = slow ? is_hot(m, page) : second_stage(f, page);

	if (wanted < 0 || !moves)
		return -1;
	return slow && !may_promote(m, &m->nodes[wanted]) ? -1 : wanted;
}

static void
count_fault(const struct gw_fault_at *f, gw_pfn_t page)
{
	struct gw_machine *m = f->mm->machine;
	bool local = gw_page_node(m, page) == gw_current_node(m);

	gw_count(m, GW_VM_NUMA_HINT_FAULTS, 1);
	if (local)
		gw_count(m, GW_VM_NUMA_HINT_FAULTS_LOCAL, 1);
	gw_u32_add_relaxed(local ? &f->mm->hinting.local : &f->mm->hinting.remote, 1);
}

int
gw_hint_fault(const struct gw_fault_at *f, gw_atomic_u64 *word, gw_spinlock *lock, gw_pte_t pte)
{
	struct gw_machine *m = f->mm->machine;
	gw_pfn_t page = gw_pte_pfn(pte);
	int node = -1;

	gw_u64_and_relaxed(word, ~(uint64_t)GW_PTE_HINT);
	gw_get_page(m, page);
	gw_spin_unlock(lock);
	count_fault(f, page);
	if (m->numa.balancing && gw_flags_is_small(gw_page_flags(gw_page(m, page))))
		node = decide(f, page);
	if (node >= 0)
		(void)m->numa_ops->move(m, page, f->vma, (unsigned)node);
	else
		gw_put_page(m, page);
	return 0;
}
