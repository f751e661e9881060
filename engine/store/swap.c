/* SPDX-License-Identifier: MIT */
/*
 * swap.c - slots of the swap area, and the swap cache (FACTS 3.5, A10, R3).
 *
 * Idea. A slot is one word: how many entries name it, and whether the cache has it. It is free when
 * both are gone, so entries come and go by one atomic addition, under whatever lock they stand. The
 * mark CACHED is taken before a page enters the cache and given back after it left: whoever took it
 * is the only one who may add a page there.
 *
 * Invariants
 *   W1  a slot's word is 0 exactly if it is free; `used` counts the others, and those being looked
 * for W2  on an idle machine a slot is CACHED exactly if a page stands in the cache under it; that
 * page has SWAPCACHE, and its row of the side table names the slot W3  a page in the cache is up to
 * date whenever its lock is free W4  a dirty page leaves the cache only when no entry names its
 * slot W5  a page that no entry needs leaves the cache when its lock is free: the last to name it
 * tries the lock (gw_swap_trim()); whoever has it looks again once it is given back
 *       (gw_swap_page_unlock())
 *
 * Locks: the page lock for SWAPCACHE and slot, cache.lock (rank TREE) inside gw_cache_*(). Slots
 * have none.
 */
#include "engine/store/swap_internal.h"
#include "engine/virt/policy.h"

#define SLOT_CACHED  0x80000000u
#define SLOT_ENTRIES 0x7fffffffu
#define SLOT_NONE    UINT32_MAX

#define AGAIN 1 /* another task was faster */

struct gw_swap {
	const struct gw_backing_ops *ops;
	void *ctx;
	uint32_t n_slots;
	gw_atomic_u32 used;
	gw_atomic_u32 next; /* where to look for a free slot; a hint */
	gw_atomic_u32 *slots;
	struct gw_cache cache;
};

/* ---- slots ---- */

static gw_atomic_u32 *
slot_word(const struct gw_machine *m, uint32_t slot)
{
	GW_BUG_ON((struct gw_machine *)m, !m->swap || slot >= m->swap->n_slots);
	return &m->swap->slots[slot];
}

/* A free slot becomes CACHED, with no entry; SLOT_NONE: the area is full. */
static uint32_t
take_slot(struct gw_swap *swap)
{
	uint32_t used = gw_u32_load_relaxed(&swap->used), slot, free;

	do {
		if (used == swap->n_slots)
			return SLOT_NONE;
	} while (!gw_u32_cas_relaxed(&swap->used, &used, used + 1));
	/* One is ours: no more slots are taken than counted before. */
	for (slot = gw_u32_load_relaxed(&swap->next);; slot++) {
		if (slot >= swap->n_slots)
			slot = 0;
		free = 0;
		if (gw_u32_cas_acquire(&swap->slots[slot], &free, SLOT_CACHED))
			break;
	}
	gw_u32_store_relaxed(&swap->next, slot + 1);
	return slot;
}

/* One entry fewer, or the cache's mark. Returns what is left: 0, it is free. */
static uint32_t
drop_slot(struct gw_machine *m, uint32_t slot, uint32_t what)
{
	uint32_t left = gw_u32_sub_acq_rel(slot_word(m, slot), what) - what;

	if (left == 0)
		gw_u32_sub_relaxed(&m->swap->used, 1);
	return left;
}

/* Take the cache's mark of a slot that an entry names. 0, AGAIN (somebody has it), -ENOENT. */
static int
claim_slot(struct gw_machine *m, uint32_t slot)
{
	gw_atomic_u32 *word = slot_word(m, slot);
	uint32_t state = gw_u32_load_relaxed(word);

	do {
		if (!(state & SLOT_ENTRIES))
			return -ENOENT;
		if (state & SLOT_CACHED)
			return AGAIN;
	} while (!gw_u32_cas_acquire(word, &state, state | SLOT_CACHED));
	return 0;
}

void
gw_swap_dup(struct gw_machine *m, uint32_t slot)
{
	uint32_t before = gw_u32_add_relaxed(slot_word(m, slot), 1);

	GW_BUG_ON(m, before == 0 || (before & SLOT_ENTRIES) == SLOT_ENTRIES);
}

bool
gw_swap_put(struct gw_machine *m, uint32_t slot)
{
	GW_CHECK_ON(m, gw_swap_count(m, slot) == 0);
	return drop_slot(m, slot, 1) == SLOT_CACHED;
}

uint32_t
gw_swap_count(const struct gw_machine *m, uint32_t slot)
{
	return gw_u32_load_relaxed(slot_word(m, slot)) & SLOT_ENTRIES;
}

/* ---- the cache ---- */

struct gw_cache *
gw_swap_cache(const struct gw_machine *m)
{
	return m->swap ? &m->swap->cache : NULL;
}

uint32_t
gw_page_slot(const struct gw_machine *m, gw_pfn_t page)
{
	return gw_u32_load_relaxed(&gw_page_extra(m, page)->slot);
}

static bool
is_cached(const struct gw_machine *m, gw_pfn_t page)
{
	return gw_page_flags(gw_page(m, page)) & GW_PG_SWAPCACHE;
}

/* A locked page that has left the tree. */
static void
leave(struct gw_machine *m, gw_pfn_t page, uint32_t slot)
{
	uint32_t flags =
		gw_u32_and_relaxed(&gw_page(m, page)->flags, ~(GW_PG_SWAPCACHE | GW_PG_DIRTY));

	GW_CHECK_ON(m, flags & GW_PG_DIRTY && gw_swap_count(m, slot) > 0); /* W4 */
	gw_u32_store_relaxed(&gw_page_extra(m, page)->slot, 0);
	drop_slot(m, slot, SLOT_CACHED);
}

/* A locked page enters the cache under a slot whose mark the caller took; without memory the mark
 * is given back. 0 or -ENOMEM. */
static int
enter(struct gw_machine *m, gw_pfn_t page, uint32_t slot)
{
	int err;

	GW_CHECK_ON(m, is_cached(m, page));
	gw_u32_store_relaxed(&gw_page_extra(m, page)->slot, slot);
	gw_u32_or_relaxed(&gw_page(m, page)->flags, GW_PG_SWAPCACHE);
	err = gw_cache_add(m, &m->swap->cache, slot, page);
	GW_BUG_ON(m, err == -EEXIST);
	if (err)
		leave(m, page, slot);
	return err;
}

int
gw_swap_cache_add(struct gw_machine *m, gw_pfn_t page)
{
	uint32_t slot = m->swap ? take_slot(m->swap) : SLOT_NONE;
	int err;

	if (slot == SLOT_NONE)
		return -ENOSPC;
	err = enter(m, page, slot);
	if (!err)
		gw_u32_or_relaxed(&gw_page(m, page)->flags, GW_PG_DIRTY | GW_PG_UPTODATE);
	return err;
}

void
gw_swap_cache_delete(struct gw_machine *m, gw_pfn_t page)
{
	uint32_t slot = gw_page_slot(m, page);

	GW_CHECK_ON(m, !is_cached(m, page));
	GW_CHECK_ON(m, gw_page_flags(gw_page(m, page)) & GW_PG_WRITEBACK);
	gw_cache_remove(m, &m->swap->cache, slot, page);
	leave(m, page, slot);
	gw_put_page(m, page);
}

/* Is the page in the cache for nobody? Without its lock, a hint. */
static bool
is_unneeded(const struct gw_machine *m, gw_pfn_t page)
{
	uint32_t flags = gw_page_flags(gw_page(m, page));

	if ((flags & (GW_PG_SWAPCACHE | GW_PG_WRITEBACK)) != GW_PG_SWAPCACHE)
		return false;
	/* Read by a read-modify-write: either it sees the last gw_swap_put(), or that one comes
	 * after it, and then gw_swap_trim() after the unlocking before it (W5). */
	return (gw_u32_sub_acq_rel(slot_word(m, gw_page_slot(m, page)), 0) & SLOT_ENTRIES) == 0;
}

bool
gw_swap_cache_try_delete(struct gw_machine *m, gw_pfn_t page)
{
	if (is_unneeded(m, page))
		gw_swap_cache_delete(m, page);
	return !is_cached(m, page);
}

bool
gw_swap_cache_remove_frozen(struct gw_machine *m, gw_pfn_t page, uint32_t refs)
{
	uint32_t slot = gw_page_slot(m, page);

	if (!gw_cache_replace_frozen(m, &m->swap->cache, slot, page, GW_PFN_NONE, refs))
		return false;
	leave(m, page, slot);
	return true;
}

void
gw_swap_page_unlock(struct gw_machine *m, gw_pfn_t page)
{
	if (!is_cached(m, page)) {
		gw_page_unlock(m, page);
		return;
	}
	do {
		gw_swap_cache_try_delete(m, page);
		gw_page_unlock(m, page);
	} while (is_unneeded(m, page) && gw_page_trylock(m, page));
}

void
gw_swap_trim(struct gw_machine *m, uint32_t slot)
{
	gw_pfn_t page = gw_cache_find(m, &m->swap->cache, slot);

	if (page == GW_PFN_NONE)
		return;
	if (gw_page_trylock(m, page))
		gw_swap_page_unlock(m, page);
	gw_put_page(m, page);
}

/* ---- in and out ---- */

/* A page found under a slot, with a reference: 0 with its lock, if it is still there; AGAIN or
 * -EINTR without reference. */
static int
lock_found(struct gw_machine *m, gw_pfn_t page, uint32_t slot)
{
	int err = gw_page_lock_killable(m, page);

	if (!err && is_cached(m, page) && gw_page_slot(m, page) == slot)
		return 0;
	if (!err) {
		gw_swap_page_unlock(m, page);
		err = AGAIN;
	}
	gw_put_page(m, page);
	return err;
}

/* The page, locked and in nobody's use, enters the cache and gets the slot's bytes. */
static int
fill(struct gw_machine *m, gw_pfn_t page, uint32_t slot)
{
	int err = claim_slot(m, slot);

	if (err)
		return err;
	/* Anonymous, of an anon_vma that whoever maps it first will name. */
	gw_ptr_store_release(&gw_page(m, page)->owner, (void *)GW_OWNER_ANON);
	err = enter(m, page, slot);
	if (err)
		return err;
	err = m->swap->ops->read(m->swap->ctx, slot, m->ops->frame_address(m->ctx, page));
	if (err) {
		gw_swap_cache_delete(m, page);
		return err < 0 && err != -ENOENT ? err : -EIO; /* -ENOENT is ours */
	}
	gw_u32_or_relaxed(&gw_page(m, page)->flags, GW_PG_UPTODATE);
	gw_count(m, GW_VM_PSWPIN, 1);
	return 0;
}

/* No page was found under the slot. */
static int
read_in(struct gw_machine *m, uint32_t slot, const struct gw_page_source *source, gw_pfn_t *out)
{
	uint32_t state = gw_u32_load_relaxed(slot_word(m, slot));
	gw_pfn_t page;
	int err;

	if (!(state & SLOT_ENTRIES))
		return -ENOENT;
	if (state & SLOT_CACHED) {
		gw_relax(); /* one is about to be there, or about to go */
		return AGAIN;
	}
	err = gw_alloc_source(m, GW_GFP_USER_MOVABLE, source, 0, &page);
	if (err)
		return err;
	gw_page_lock(m, page);
	err = fill(m, page, slot);
	if (err) {
		gw_page_unlock(m, page);
		gw_put_page(m, page);
		return err;
	}
	gw_lru_add(m, page, GW_LRU_INACTIVE_ANON);
	gw_count(m, GW_VM_PGMAJFAULT, 1);
	*out = page;
	return 0;
}

int
gw_swap_get_page(
	struct gw_machine *m, uint32_t slot, const struct gw_page_source *source, gw_pfn_t *out)
{
	int err;

	gw_might_sleep();
	do {
		gw_pfn_t page = gw_cache_find(m, &m->swap->cache, slot);

		err = page == GW_PFN_NONE ? read_in(m, slot, source, &page)
					  : lock_found(m, page, slot);
		if (!err)
			*out = page;
	} while (err == AGAIN);
	return err;
}

int
gw_swap_write(struct gw_machine *m, uint32_t slot, const void *bytes)
{
	int err = m->swap->ops->write(m->swap->ctx, slot, bytes);

	if (!err)
		gw_count(m, GW_VM_PSWPOUT, 1);
	return err;
}

/* ---- the area ---- */

int
gw_swap_on(struct gw_machine *m, const struct gw_backing_ops *ops, void *ctx, uint32_t slots)
{
	struct gw_swap *swap;

	if (m->swap)
		return -EBUSY;
	if (slots == 0 || slots == SLOT_NONE)
		return -EINVAL;
	if (gw_page_extra_make(m))
		return -ENOMEM;
	swap = m->ops->alloc(m->ctx, sizeof(*swap));
	if (!swap)
		return -ENOMEM;
	swap->slots = m->ops->alloc(m->ctx, slots * sizeof(*swap->slots));
	if (!swap->slots) {
		m->ops->release(m->ctx, swap, sizeof(*swap));
		return -ENOMEM;
	}
	swap->ops = ops;
	swap->ctx = ctx;
	swap->n_slots = slots;
	gw_spin_init(&swap->cache.lock, GW_RANK_TREE);
	m->swap = swap;
	return 0;
}

/* The cache is empty. */
static void
release_area(struct gw_machine *m)
{
	struct gw_swap *swap = m->swap;

	m->swap = NULL;
	if (swap->ops->release)
		swap->ops->release(swap->ctx);
	m->ops->release(m->ctx, swap->slots, swap->n_slots * sizeof(*swap->slots));
	m->ops->release(m->ctx, swap, sizeof(*swap));
}

int
gw_swap_off(struct gw_machine *m)
{
	uint64_t index = 0;
	gw_pfn_t page;

	if (!m->swap)
		return 0;
	for (uint32_t slot = 0; slot < m->swap->n_slots; slot++)
		if (gw_swap_count(m, slot))
			return -EBUSY;
	while ((page = gw_cache_next(m, &m->swap->cache, &index)) != GW_PFN_NONE) {
		gw_page_lock(m, page);
		gw_swap_page_unlock(m, page);
		gw_put_page(m, page);
		index++;
	}
	release_area(m);
	return 0;
}

void
gw_swap_destroy(struct gw_machine *m)
{
	struct gw_radix *tree;
	uint32_t index = 0;

	if (!m->swap)
		return;
	tree = &m->swap->cache.tree;
	while (gw_radix_next(tree, &index) != GW_PFN_NONE)
		gw_radix_replace(m, tree, index, GW_PFN_NONE);
	release_area(m);
}

void
gw_swap_info(const struct gw_machine *m, struct gw_swap_info *out)
{
	*out = (struct gw_swap_info){0};
	if (!m->swap)
		return;
	out->slots = m->swap->n_slots;
	out->used = gw_u32_load_relaxed(&m->swap->used);
	out->cached = (uint32_t)gw_u64_load_relaxed(&m->swap->cache.n_pages);
}

/* ---- the check ---- */

/* The page that the cache has under a slot; returns whether there is one. */
static bool
check_cached(struct gw_machine *m, uint32_t slot, struct gw_findings *findings)
{
	uint32_t flags;
	gw_pfn_t page = gw_radix_find(&m->swap->cache.tree, slot);

	if (page == GW_PFN_NONE)
		return false;
	flags = gw_page_flags(gw_page(m, page));
	if (gw_flags_type(flags) != GW_PAGE_USED || !(flags & GW_PG_SWAPCACHE) ||
		gw_page_slot(m, page) != slot)
		gw_found(findings,
			"W2: frame %#x, in the swap cache under %u, has flags %#x and slot %u",
			page, slot, flags, gw_page_slot(m, page));
	if (!(flags & GW_PG_UPTODATE))
		gw_found(findings, "W3: frame %#x in the swap cache is not up to date", page);
	return true;
}

static uint64_t
count_flagged(const struct gw_machine *m)
{
	uint64_t n = 0;

	for (unsigned z = 0; z < m->n_zones; z++) /* not the gaps, as in charge.c */
		for (gw_pfn_t pfn = m->zones[z].start; pfn < m->zones[z].end; pfn++)
			n += is_cached(m, pfn);
	return n;
}

void
gw_swap_check(struct gw_machine *m, struct gw_findings *findings)
{
	struct gw_swap_info info;
	uint64_t used = 0, cached = 0, flagged = count_flagged(m);

	gw_swap_info(m, &info);
	for (uint32_t slot = 0; slot < info.slots; slot++) {
		uint32_t state = gw_u32_load_relaxed(slot_word(m, slot));
		bool found = check_cached(m, slot, findings);

		used += state != 0;
		cached += found;
		if (found != ((state & SLOT_CACHED) != 0))
			gw_found(findings, "W2: slot %u says %#x, and the swap cache has %s page",
				slot, state, found ? "a" : "no");
	}
	if (used != info.used)
		gw_found(findings, "W1: %u swap slots are counted, and %llu are in use", info.used,
			(unsigned long long)used);
	if (cached != info.cached || cached != flagged)
		gw_found(findings,
			"W2: the swap cache counts %u pages, has %llu, and %llu say they are in it",
			info.cached, (unsigned long long)cached, (unsigned long long)flagged);
}
