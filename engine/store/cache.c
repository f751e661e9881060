/* SPDX-License-Identifier: MIT */
/*
 * cache.c - frames by index: what the page cache of a file and the swap cache are made of.
 *
 * Idea. A tree under a spinlock. The cache holds a reference on each of its pages, so one found in
 * the tree is in use, or frozen for a moment by who moves or removes it. Whoever looks takes the
 * reference under the tree's lock, whoever freezes does so under it, too: a looker has the page
 * before it is frozen, and then the freeze fails, or finds what came in its place (R16).
 *
 * Invariants
 *   H1  a page enters and leaves a cache with its page lock held; its place in the tree is then
 * what gw_page_cache() says H2  n_pages == frames in the tree H3  a page is in the tree with no
 * reference only while frozen by a holder of its page lock, who sleeps nowhere before it thaws it
 * or takes it out
 */
#include "engine/store/mapping_internal.h"

static gw_pfn_t
find_at(const struct gw_radix *tree, uint32_t *index)
{
	return gw_radix_find(tree, *index);
}

/* What `find` finds, with a reference. */
static gw_pfn_t
look(struct gw_machine *m, struct gw_cache *cache,
	gw_pfn_t (*find)(const struct gw_radix *tree, uint32_t *index), uint64_t *index)
{
	if (*index > UINT32_MAX)
		return GW_PFN_NONE;
	for (;;) {
		uint32_t at = (uint32_t)*index;
		gw_pfn_t pfn;
		bool got;

		gw_spin_lock(&cache->lock);
		pfn = find(&cache->tree, &at);
		got = pfn != GW_PFN_NONE && gw_get_page_unless_zero(m, pfn);
		gw_spin_unlock(&cache->lock);
		if (got)
			*index = at;
		if (got || pfn == GW_PFN_NONE)
			return pfn;
		gw_relax(); /* H3 */
	}
}

gw_pfn_t
gw_cache_find(struct gw_machine *m, struct gw_cache *cache, uint64_t index)
{
	return look(m, cache, find_at, &index);
}

gw_pfn_t
gw_cache_next(struct gw_machine *m, struct gw_cache *cache, uint64_t *index)
{
	return look(m, cache, gw_radix_next, index);
}

/* Returns 0, -EEXIST, or -EAGAIN: the pocket is empty and a node is needed. */
static int
try_add(struct gw_cache *cache, struct gw_radix_pocket *pocket, uint32_t index, gw_pfn_t page)
{
	int err = -EAGAIN;

	gw_spin_lock(&cache->lock);
	if (pocket->n || gw_radix_has_node(&cache->tree, index)) {
		bool there = gw_radix_insert(&cache->tree, pocket, index, page) != GW_PFN_NONE;

		err = there ? -EEXIST : 0;
	}
	gw_spin_unlock(&cache->lock);
	return err;
}

int
gw_cache_add(struct gw_machine *m, struct gw_cache *cache, uint64_t index, gw_pfn_t page)
{
	struct gw_radix_pocket pocket = {0};
	int err;

	GW_CHECK_ON(m, !(gw_page_flags(gw_page(m, page)) & GW_PG_LOCKED));
	gw_get_page(m, page);
	err = try_add(cache, &pocket, (uint32_t)index, page);
	if (err == -EAGAIN) {
		err = gw_radix_reserve(m, &pocket);
		if (!err)
			err = try_add(cache, &pocket, (uint32_t)index, page);
		gw_radix_unreserve(m, &pocket);
	}
	if (err)
		gw_put_page(m, page);
	else
		gw_u64_add_relaxed(&cache->n_pages, 1);
	return err;
}

/* Lock held. */
static void
take_out(struct gw_machine *m, struct gw_cache *cache, uint64_t index)
{
	gw_radix_replace(m, &cache->tree, (uint32_t)index, GW_PFN_NONE);
	gw_u64_sub_relaxed(&cache->n_pages, 1);
}

void
gw_cache_remove(struct gw_machine *m, struct gw_cache *cache, uint64_t index, gw_pfn_t page)
{
	GW_CHECK_ON(m, !(gw_page_flags(gw_page(m, page)) & GW_PG_LOCKED));
	gw_spin_lock(&cache->lock);
	GW_BUG_ON(m, gw_radix_find(&cache->tree, (uint32_t)index) != page);
	take_out(m, cache, index);
	gw_spin_unlock(&cache->lock);
}

/* The count once was compared before the lock was taken, and nobody looked again (R16). */
static bool
freeze(struct gw_machine *m, gw_pfn_t src, uint32_t refs)
{
	if (gw_fix(m, GW_FIX_FREEZE_UNDER_LOCK))
		return gw_ref_freeze(&gw_page(m, src)->refcount, refs);
	gw_ref_set(&gw_page(m, src)->refcount, 0);
	return true;
}

bool
gw_cache_replace_frozen(struct gw_machine *m, struct gw_cache *cache, uint64_t index, gw_pfn_t src,
	gw_pfn_t dst, uint32_t refs)
{
	bool frozen;

	GW_CHECK_ON(m, !(gw_page_flags(gw_page(m, src)) & GW_PG_LOCKED));
	if (!gw_fix(m, GW_FIX_FREEZE_UNDER_LOCK) && gw_ref_read(&gw_page(m, src)->refcount) != refs)
		return false;
	gw_spin_lock(&cache->lock);
	GW_BUG_ON(m, gw_radix_find(&cache->tree, (uint32_t)index) != src);
	frozen = freeze(m, src, refs);
	if (frozen && dst == GW_PFN_NONE)
		take_out(m, cache, index);
	else if (frozen)
		gw_radix_replace(m, &cache->tree, (uint32_t)index, dst);
	gw_spin_unlock(&cache->lock);
	return frozen;
}

struct gw_cache *
gw_page_cache(const struct gw_machine *m, gw_pfn_t page, uint64_t *index)
{
	struct gw_mapping *mapping = gw_page_mapping(m, page);

	if (mapping) {
		*index = gw_frame_index(gw_page(m, page));
		return &mapping->cache;
	}
	if (!(gw_page_flags(gw_page(m, page)) & GW_PG_SWAPCACHE))
		return NULL;
	*index = gw_page_slot(m, page);
	return gw_swap_cache(m);
}

static void
check_frame(struct gw_machine *m, gw_pfn_t pfn, struct gw_findings *findings)
{
	const struct gw_page *page = gw_page(m, pfn);
	struct gw_mapping *mapping = NULL;

	if (gw_flags_type(gw_page_flags(page)) == GW_PAGE_USED)
		mapping = gw_page_mapping(m, pfn);
	if (mapping && gw_radix_find(&mapping->cache.tree, gw_frame_index(page)) != pfn)
		gw_found(findings, "H1: page %u says page %u of a file, whose cache has another",
			pfn, gw_frame_index(page));
}

/* H1, of the pages of files; engine/store/swap.c has the others. */
void
gw_cache_check(struct gw_machine *m, struct gw_findings *findings)
{
	for (unsigned z = 0; z < m->n_zones; z++) /* not the gaps, as in charge.c */
		for (gw_pfn_t pfn = m->zones[z].start; pfn < m->zones[z].end; pfn++)
			check_frame(m, pfn, findings);
}
