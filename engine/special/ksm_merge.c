/* SPDX-License-Identifier: MIT */
/*
 * ksm_merge.c - making two pages one.
 *
 * Idea. Of two pages with equal bytes the first becomes a merged page in its place; then the second
 * one's entry becomes an entry of it. Each step locks pages, makes the entry read-only, and only
 * then compares the bytes that count: before that they may change at any time.
 *
 * Locks: mmap_lock of one address space for reading, the merged page's lock, the other page's by
 * trylock, then a leaf lock (engine/virt/ksm.c). Memory comes before them.
 *
 * A node does not hold its page: the page goes with its last entry, and the node is swept up when
 * somebody looks for the page.
 */
#include <string.h>

#include "engine/special/ksm_internal.h"
#include "engine/store/store.h"
#include "engine/sync/bytes.h"

#define WORDS 64 /* compared at a time */

/* ---- bytes ---- */

static const uint8_t *
bytes_of(const struct gw_machine *m, gw_pfn_t page)
{
	return m->ops->frame_address(m->ctx, page);
}

uint64_t
gw_ksm_checksum(const struct gw_machine *m, gw_pfn_t page)
{
	const uint8_t *bytes = bytes_of(m, page);
	uint64_t words[WORDS], sum = 0;

	for (size_t at = 0; at < GW_PAGE_SIZE; at += sizeof(words)) {
		gw_bytes_load(words, bytes + at, sizeof(words));
		for (unsigned i = 0; i < WORDS; i++) {
			sum = (sum ^ words[i]) * 0x9e3779b97f4a7c15u;
			sum ^= sum >> 29;
		}
	}
	return sum;
}

bool
gw_ksm_same_bytes(const struct gw_machine *m, gw_pfn_t a, gw_pfn_t b)
{
	const uint8_t *of_a = bytes_of(m, a), *of_b = bytes_of(m, b);
	uint64_t words_a[WORDS], words_b[WORDS];

	for (size_t at = 0; at < GW_PAGE_SIZE; at += sizeof(words_a)) {
		gw_bytes_load(words_a, of_a + at, sizeof(words_a));
		gw_bytes_load(words_b, of_b + at, sizeof(words_b));
		if (memcmp(words_a, words_b, sizeof(words_a)) != 0)
			return false;
	}
	return true;
}

/* ---- nodes ---- */

/* The page that the node names now; GW_PFN_NONE: that one was freed. */
static gw_pfn_t
named_page(const struct gw_machine *m, const struct gw_ksm_node *node)
{
	for (;;) {
		gw_pfn_t page = gw_u32_load_acquire(&node->pfn);

		if (gw_page_ksm_node(m, page) == node)
			return page;
		if (gw_u32_load_acquire(&node->pfn) == page)
			return GW_PFN_NONE; /* it did not move, so it is not there */
	}
}

/* With a reference, for a moment at least. */
static bool
is_named(const struct gw_machine *m, const struct gw_ksm_node *node, gw_pfn_t page)
{
	return gw_page_ksm_node(m, page) == node && gw_u32_load_acquire(&node->pfn) == page;
}

gw_pfn_t
gw_ksm_node_page(const struct gw_ksm *ksm, const struct gw_ksm_node *node)
{
	struct gw_machine *m = ksm->machine;
	gw_pfn_t page;

	/* acquire: who moved the page has copied its bytes before he unlocked it */
	while ((page = named_page(m, node)) != GW_PFN_NONE) {
		if (!gw_get_page_unless_zero(m, page)) {
			gw_relax(); /* it is being moved, or freed */
			continue;
		}
		if (!is_named(m, node, page))
			gw_put_page(m, page);
		else if (gw_u32_load_acquire(&gw_page(m, page)->flags) & GW_PG_LOCKED)
			(void)gw_page_put_and_wait_locked(m, page, false);
		else
			break;
	}
	return page;
}

static void
forget(struct gw_ksm *ksm, struct gw_ksm_stable *s)
{
	struct gw_machine *m = ksm->machine;
	struct gw_ksm_stable **link = &ksm->nodes;

	while (*link != s)
		link = &(*link)->next;
	*link = s->next;
	gw_ksm_tree_remove(&ksm->stable, &s->leaf);
	gw_ksm_drop_places(m, &s->node);
	m->ops->release(m->ctx, s, sizeof(*s));
}

static struct gw_ksm_stable *
stable_of(struct gw_ksm_leaf *leaf)
{
	return (struct gw_ksm_stable *)((char *)leaf - offsetof(struct gw_ksm_stable, leaf));
}

struct gw_ksm_stable *
gw_ksm_find_stable(struct gw_ksm *ksm, uint64_t sum, gw_pfn_t like, gw_pfn_t *page)
{
	struct gw_ksm_leaf *leaf = gw_ksm_tree_find(&ksm->stable, sum, NULL);

	while (leaf) {
		struct gw_ksm_stable *s = stable_of(leaf);

		*page = gw_ksm_node_page(ksm, &s->node);
		if (*page == GW_PFN_NONE) {
			forget(ksm, s);
			leaf = gw_ksm_tree_find(&ksm->stable, sum, NULL);
			continue;
		}
		if (s->node.n_places < ksm->tunables.max_page_sharing &&
			gw_ksm_same_bytes(ksm->machine, *page, like))
			return s;
		gw_put_page(ksm->machine, *page);
		leaf = gw_ksm_tree_find(&ksm->stable, sum, leaf);
	}
	return NULL;
}

void
gw_ksm_tidy(struct gw_ksm *ksm)
{
	struct gw_machine *m = ksm->machine;
	struct gw_ksm_stable *next;

	for (struct gw_ksm_stable *s = ksm->nodes; s; s = next) {
		gw_pfn_t page = gw_ksm_node_page(ksm, &s->node);

		next = s->next;
		if (page == GW_PFN_NONE) {
			forget(ksm, s);
			continue;
		}
		gw_page_lock(m, page);
		if (is_named(m, &s->node, page))
			gw_ksm_prune(m, page);
		gw_page_unlock(m, page);
		gw_put_page(m, page);
	}
}

/* ---- merging ---- */

static void *
allocate(const struct gw_ksm *ksm, size_t bytes)
{
	return ksm->machine->ops->alloc(ksm->machine->ctx, bytes);
}

static void
release(const struct gw_ksm *ksm, void *p, size_t bytes)
{
	if (p)
		ksm->machine->ops->release(ksm->machine->ctx, p, bytes);
}

/* An anonymous page, locked, that nobody writes to any more, like that other one. */
static bool
settle(const struct gw_machine *m, const struct gw_vma *vma, const struct gw_ksm_at *at,
	gw_pfn_t like)
{
	return !gw_page_ksm_node(m, at->page) && gw_ksm_protect(vma, at->addr, at->page) &&
	       gw_ksm_same_bytes(m, at->page, like);
}

/* mmap_lock held. */
static bool
adopt(struct gw_machine *m, const struct gw_ksm_at *at, gw_pfn_t like, struct gw_ksm_node *node,
	struct gw_ksm_place *place)
{
	const struct gw_vma *vma = gw_ksm_vma(at->mm, at->addr);
	bool done;

	if (!vma || !gw_page_trylock(m, at->page))
		return false;
	done = settle(m, vma, at, like);
	if (done && gw_page_flags(gw_page(m, at->page)) & GW_PG_SWAPCACHE)
		done = gw_swap_cache_try_delete(m, at->page);
	done = done && gw_ksm_adopt(m, at->page, node, place);
	gw_swap_page_unlock(m, at->page);
	return done;
}

struct gw_ksm_stable *
gw_ksm_make_stable(struct gw_ksm *ksm, const struct gw_ksm_at *at, gw_pfn_t like)
{
	struct gw_ksm_stable *s = allocate(ksm, sizeof(*s));
	struct gw_ksm_place *place = allocate(ksm, sizeof(*place));
	bool done = false;

	if (s && place) {
		gw_rw_read_lock(&at->mm->mmap_lock);
		done = adopt(ksm->machine, at, like, &s->node, place);
		gw_rw_read_unlock(&at->mm->mmap_lock);
	}
	if (!done) {
		release(ksm, place, sizeof(*place));
		release(ksm, s, sizeof(*s));
		return NULL;
	}
	s->leaf.sum = gw_ksm_checksum(ksm->machine, at->page); /* for good */
	gw_ksm_tree_insert(&ksm->stable, &s->leaf);
	s->next = ksm->nodes;
	ksm->nodes = s;
	return s;
}

/* mmap_lock held. As gw_ksm_replace(). */
static int
join(struct gw_machine *m, const struct gw_ksm_at *at, const struct gw_ksm_node *node,
	gw_pfn_t page, struct gw_ksm_place *place)
{
	const struct gw_vma *vma = gw_ksm_vma(at->mm, at->addr);
	int err = -1;

	if (!vma)
		return err;
	gw_page_lock(m, page);
	if (is_named(m, node, page) && gw_page_trylock(m, at->page)) {
		if (settle(m, vma, at, page))
			err = gw_ksm_replace(vma, at->addr, at->page, page, place);
		gw_swap_page_unlock(m, at->page);
	}
	gw_page_unlock(m, page);
	return err;
}

bool
gw_ksm_merge(struct gw_ksm *ksm, const struct gw_ksm_at *at, struct gw_ksm_stable *s, gw_pfn_t page)
{
	struct gw_ksm_place *place = allocate(ksm, sizeof(*place));
	int err;

	if (!place)
		return false;
	gw_rw_read_lock(&at->mm->mmap_lock);
	err = join(ksm->machine, at, &s->node, page, place);
	gw_rw_read_unlock(&at->mm->mmap_lock);
	if (err)
		release(ksm, place, sizeof(*place));
	return err >= 0;
}
