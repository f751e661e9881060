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
 * are promoted already in this second; or anyway, if there is so much room above that nothing
 * hotter could be kept out.
 *
 * What is remembered of a page with HINTED stands in its row of the side table, one word: in the
 * top tiers the CPU of its last hinting fault, below them when its entry was made hinting, in
 * milliseconds. A migration carries it along between nodes of one kind.
 *
 * Large pages. A huge entry hints as a whole, and the page of one that a fault meets follows as a
 * whole. Of a page that is mapped frame by frame every entry hints, but one fault is enough for all
 * of them: what it decides it decides for the page.
 *
 * The period of an address space's scans is doubled while at least 7 of 10 hinting faults are local
 * already, or there were none, and halved while they are not, between the bounds of the tunables.
 *
 * Invariants
 *   X1  only present entries hint; an entry's hint comes and goes under its lock
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
#define ROOM_SHARE     16 /* of a node's memory must at least be free for it to take anything */

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
	uint64_t changed, left; /* frames whose entries are made hinting */
	uint64_t huge;		/* entries of them that are huge */
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
 * without waiting. A lock of an entry of the page is held, which keeps it whole. */
static bool
page_hints(const struct scan *scan, gw_pfn_t pfn)
{
	const struct gw_machine *m = scan->m;
	const struct gw_page *page = gw_page(m, pfn);

	if (gw_owner_is_anon(gw_ptr_load_relaxed(&page->owner)) && gw_page_mapped_twice(m, pfn))
		return false;
	if (scan->vma->mapping && gw_page_flags(page) & GW_PG_DIRTY)
		return false;
	return m->numa.balancing & GW_BALANCING_NORMAL || !m->nodes[gw_page_node(m, pfn)].top_tier;
}

/* Its lock held. Returns the frames that it maps. */
static gw_pfn_t
make_hinting(struct scan *scan, gw_atomic_u64 *word)
{
	struct gw_machine *m = scan->m;
	gw_pte_t pte = gw_u64_load_relaxed(word);
	gw_pfn_t frames = gw_pte_frames(pte), page;
	uint32_t before;

	if (!gw_pte_is_page(pte) || pte & (GW_PTE_NO_ACCESS | GW_PTE_HINT))
		return frames;
	page = gw_page_head(m, gw_pte_pfn(pte));
	if (!page_hints(scan, page))
		return frames;
	gw_u64_or_relaxed(word, GW_PTE_HINT); /* CPUs may mark it meanwhile */
	if (m->numa.balancing & GW_BALANCING_TIERING && !m->nodes[gw_page_node(m, page)].top_tier)
		(void)remember(m, page, now_ms(m), &before);
	scan->changed += frames;
	scan->huge += frames > 1;
	scan->left -= frames < scan->left ? frames : scan->left;
	return frames;
}

/* In one table, or one huge entry: all of it, wherever addr is in it. Returns where it ended. */
static gw_vaddr_t
scan_table(struct scan *scan, gw_vaddr_t addr, gw_vaddr_t end)
{
	gw_spinlock *lock;
	gw_atomic_u64 *word = gw_entry_lock(scan->vma->mm, addr, &lock);

	if (!word)
		return end;
	while (addr < end && scan->left)
		addr += (gw_vaddr_t)make_hinting(scan, word++) << GW_PAGE_SHIFT;
	gw_spin_unlock(lock);
	return addr < end ? addr : end;
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

/* From where the last scan ended, as far as this one goes. mmap_lock held for reading. */
static void
walk_window(struct gw_mm *mm, struct scan *scan)
{
	struct gw_hinting *h = &mm->hinting;
	struct gw_vma *vma = gw_vma_find(mm, h->at);

	for (; vma && !scan_is_over(scan); vma = gw_vma_next(vma, GW_VADDR_END)) {
		gw_vaddr_t from = h->at > gw_vma_start(vma) ? h->at : gw_vma_start(vma);

		scan->vma = vma;
		h->at = vma_hints(vma) ? scan_vma(scan, from) : gw_vma_end(vma);
		if (h->at < gw_vma_end(vma))
			return;
	}
	if (!vma) {
		h->at = 0;
		gw_u32_add_relaxed(&h->rounds, 1);
	}
}

static uint64_t
scan_window(struct gw_mm *mm)
{
	const uint64_t pages = mm->machine->numa.scan_size_mb * PAGES_PER_MB;
	struct scan scan = {.m = mm->machine,
		.left = pages,
		.virtual_left = VIRTUAL_FACTOR * pages * GW_PAGE_SIZE};

	gw_rw_read_lock(&mm->mmap_lock);
	walk_window(mm, &scan);
	gw_rw_read_unlock(&mm->mmap_lock);
	gw_count(scan.m, GW_VM_NUMA_PTE_UPDATES, scan.changed);
	gw_count(scan.m, GW_VM_NUMA_HUGE_PTE_UPDATES, scan.huge);
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
	changed = scan_window(mm);
	gw_u64_store_release(&mm->hinting.next, now_ns(m) + mm->hinting.period_ms * NS_PER_MS);
	return changed;
}

/* ---- the fault ---- */

/* A fault on a hinting entry, and what it is about. */
struct hit {
	const struct gw_fault_at *at;
	gw_pfn_t page, n; /* the head of the page and its frames; a reference is held */
	unsigned order;
	gw_pfn_t frame; /* the one that is wanted */
};

/* As much room on the node as keeps nothing out? */
static bool
takes_anything(const struct gw_machine *m, unsigned node)
{
	uint64_t room = m->numa.promote_freely_mb * PAGES_PER_MB;
	uint64_t frames = 0;

	for (unsigned z = 0; z < m->n_zones; z++)
		if (m->zones[z].node == node)
			frames += gw_u64_load_relaxed(&m->zones[z].managed);
	if (room < frames / ROOM_SHARE)
		room = frames / ROOM_SHARE;
	return gw_node_has_room(m, node, GW_WMARK_PROMO, room);
}

/* So many more frames promoted to the node in this second: within the limit? */
static bool
within_limit(struct gw_machine *m, struct gw_node *node, gw_pfn_t n)
{
	uint64_t limit = m->numa.promote_rate_limit_mbps * PAGES_PER_MB;
	uint64_t second = now_ns(m) / NS_PER_S + 1; /* 0: none yet */
	uint64_t last = gw_u64_load_relaxed(&node->promote_second);

	gw_count(m, GW_VM_PGPROMOTE_CANDIDATE, n);
	if (last != second && gw_u64_cas_relaxed(&node->promote_second, &last, second))
		gw_u64_store_relaxed(&node->promoted, 0);
	return gw_u64_add_relaxed(&node->promoted, n) < limit;
}

static bool
is_hot(struct gw_machine *m, gw_pfn_t page)
{
	uint32_t now = now_ms(m), since;

	return remember(m, page, now, &since) && now - since < m->numa.hot_threshold_ms;
}

static bool
may_promote(struct gw_machine *m, const struct hit *hit, unsigned node)
{
	if (takes_anything(m, node)) {
		gw_count(m, GW_VM_PGPROMOTE_CANDIDATE_NRL, hit->n);
		return true;
	}
	return is_hot(m, hit->page) && within_limit(m, &m->nodes[node], hit->n);
}

/* Did the page's last hinting fault, too, come from this node? */
static bool
second_stage(struct gw_machine *m, const struct hit *hit)
{
	uint32_t last_cpu;

	if (!remember(m, hit->page, gw_current_cpu(), &last_cpu))
		return gw_u32_load_relaxed(&hit->at->mm->hinting.rounds) <= EARLY_ROUNDS;
	return last_cpu < m->config.n_cpus && m->cpu_nodes[last_cpu] == gw_current_node(m);
}

/* The node to move the page to, or -1. mmap_lock held. */
static int
decide(struct gw_machine *m, const struct hit *hit)
{
	const struct gw_fault_at *f = hit->at;
	struct gw_policy policy = gw_vma_policy(f->vma);
	uint64_t index = gw_vma_index(f->vma, f->addr) - (hit->frame - hit->page);
	unsigned node = gw_page_node(m, hit->page);
	bool slow = m->numa.balancing & GW_BALANCING_TIERING && !m->nodes[node].top_tier;
	int wanted = gw_policy_misplaced(m, &policy, index >> hit->order, node);

	if (!slow)
		return second_stage(m, hit) ? wanted : -1;
	return wanted >= 0 && may_promote(m, hit, (unsigned)wanted) ? wanted : -1;
}

static void
count_fault(struct gw_machine *m, const struct hit *hit)
{
	struct gw_hinting *h = &hit->at->mm->hinting;
	bool local = gw_page_node(m, hit->page) == gw_current_node(m);

	gw_count(m, GW_VM_NUMA_HINT_FAULTS, 1);
	if (local)
		gw_count(m, GW_VM_NUMA_HINT_FAULTS_LOCAL, 1);
	gw_u32_add_relaxed(local ? &h->local : &h->remote, hit->n);
}

static bool
is_of(const struct hit *hit, gw_pte_t pte)
{
	return gw_pte_is_page(pte) && gw_pte_pfn(pte) - hit->page < hit->n;
}

/* The entry is an ordinary one again, and so are, in its table, the others of its page. Its lock
 * held. */
static void
end_hints(const struct hit *hit, gw_atomic_u64 *word, gw_pte_t pte)
{
	gw_u64_and_relaxed(word, ~(uint64_t)GW_PTE_HINT);
	if (gw_pte_is_huge(pte) || hit->n == 1)
		return;
	word -= hit->at->addr >> GW_PAGE_SHIFT & (GW_PTES_PER_TABLE - 1);
	for (unsigned i = 0; i < GW_PTES_PER_TABLE; i++)
		if (is_of(hit, gw_u64_load_relaxed(&word[i])))
			gw_u64_and_relaxed(&word[i], ~(uint64_t)GW_PTE_HINT);
}

int
gw_hint_fault(const struct gw_fault_at *f, gw_atomic_u64 *word, gw_spinlock *lock, gw_pte_t pte)
{
	struct gw_machine *m = f->mm->machine;
	struct hit hit = {.at = f, .frame = gw_pte_frame(pte, f->addr)};
	int node = -1;

	hit.page = gw_page_head(m, hit.frame);
	hit.order = gw_flags_order(gw_page_flags(gw_page(m, hit.page)));
	hit.n = (gw_pfn_t)1 << hit.order;
	end_hints(&hit, word, pte);
	gw_get_page(m, hit.page);
	gw_spin_unlock(lock);
	count_fault(m, &hit);
	if (m->numa.balancing)
		node = decide(m, &hit);
	if (node >= 0)
		(void)m->numa_ops->move(m, hit.page, f->vma, (unsigned)node);
	else
		gw_put_page(m, hit.page);
	return 0;
}
