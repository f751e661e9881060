/* SPDX-License-Identifier: MIT */
/*
 * ksm.c - who is scanned for pages with equal bytes, and in what order.
 *
 * Idea. Merged pages stand in the stable tree: their bytes do not change. A page that is looked at
 * is compared with those first. Else, if its checksum is what it was a round ago, it may be worth
 * merging with another such page: these stand in the unstable tree, by checksums that may be wrong
 * by now, which is begun anew each round. A page that changes costs one checksum a round.
 *
 * Invariants
 *   M1  one task at a time scans (busy), and all but the list of members is its own
 *   M2  an address space that exits only says so; who scans removes its slot and items, and
 *       holds a user of the address space that it looks at
 *   M3  a slot's items ascend by address; those behind the cursor were looked at in this round, and
 *       what was not found again is gone
 *
 * Locks: ksm->lock, rank LEAF.
 */
#include <errno.h>

#include "engine/special/ksm_internal.h"

static bool
begin(struct gw_ksm *ksm)
{
	uint32_t idle = 0;

	return gw_u32_cas_acquire(&ksm->busy, &idle, 1);
}

static void
end(struct gw_ksm *ksm)
{
	gw_u32_store_release(&ksm->busy, 0);
}

/* ---- members ---- */

static struct gw_ksm_slot *
slot_of(struct gw_ksm_member *member)
{
	return (struct gw_ksm_slot *)member;
}

static int
on_fork(struct gw_ksm_member *parent, struct gw_mm *child)
{
	return gw_ksm_join(slot_of(parent)->ksm, child);
}

static void
on_exit(struct gw_ksm_member *member)
{
	struct gw_ksm_slot *slot = slot_of(member);

	gw_spin_lock(&slot->ksm->lock);
	slot->mm = NULL; /* M2 */
	gw_spin_unlock(&slot->ksm->lock);
}

static void
add_slot(struct gw_ksm *ksm, struct gw_ksm_slot *slot)
{
	gw_spin_lock(&ksm->lock);
	slot->next = ksm->slots;
	ksm->slots = slot;
	gw_spin_unlock(&ksm->lock);
}

int
gw_ksm_join(struct gw_ksm *ksm, struct gw_mm *mm)
{
	struct gw_machine *m = ksm->machine;
	void *member = gw_ptr_load_acquire(&mm->ksm);
	struct gw_ksm_slot *slot;

	if (member)
		return slot_of(member)->ksm == ksm ? 0 : -EBUSY;
	slot = m->ops->alloc(m->ctx, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	*slot = (struct gw_ksm_slot){
		.member = {.fork = on_fork, .exit = on_exit}, .ksm = ksm, .mm = mm};
	if (!gw_ptr_cas_acq_rel(&mm->ksm, &member, &slot->member)) {
		m->ops->release(m->ctx, slot, sizeof(*slot));
		return slot_of(member)->ksm == ksm ? 0 : -EBUSY;
	}
	add_slot(ksm, slot);
	return 0;
}

/* The slot's address space with one more user; NULL: it exits. */
static struct gw_mm *
get_mm(struct gw_ksm_slot *slot)
{
	struct gw_mm *mm;

	gw_spin_lock(&slot->ksm->lock);
	mm = slot->mm;
	if (mm && !gw_mm_get_unless_zero(mm))
		mm = NULL;
	gw_spin_unlock(&slot->ksm->lock);
	return mm;
}

static void
drop_item(struct gw_ksm *ksm, struct gw_ksm_item **link)
{
	struct gw_ksm_item *item = *link;

	*link = item->next;
	if (item->round == ksm->round)
		gw_ksm_tree_remove(&ksm->unstable, &item->leaf);
	ksm->machine->ops->release(ksm->machine->ctx, item, sizeof(*item));
}

static void
drop_slot(struct gw_ksm *ksm, struct gw_ksm_slot *slot)
{
	struct gw_ksm_slot **link = &ksm->slots;

	while (slot->items)
		drop_item(ksm, &slot->items);
	gw_spin_lock(&ksm->lock);
	while (*link != slot)
		link = &(*link)->next;
	*link = slot->next;
	gw_spin_unlock(&ksm->lock);
	ksm->machine->ops->release(ksm->machine->ctx, slot, sizeof(*slot));
}

/* ---- one page ---- */

/* The cursor's item of addr, where it is now; NULL: no memory. Items before it go (M3). */
static struct gw_ksm_item *
take_item(struct gw_ksm *ksm, gw_vaddr_t addr)
{
	struct gw_machine *m = ksm->machine;
	struct gw_ksm_item *item;

	while (*ksm->item && (*ksm->item)->addr < addr)
		drop_item(ksm, ksm->item);
	item = *ksm->item;
	if (!item || item->addr != addr) {
		item = m->ops->alloc(m->ctx, sizeof(*item));
		if (!item)
			return NULL;
		item->slot = ksm->cursor;
		item->addr = addr;
		item->next = *ksm->item;
		*ksm->item = item;
	}
	ksm->item = &item->next;
	return item;
}

/* Is the page where the item says still the one that was looked at? Then `at` has it. */
static bool
get_at(const struct gw_ksm_item *item, struct gw_ksm_at *at)
{
	at->addr = item->addr;
	at->mm = get_mm(item->slot);
	if (!at->mm)
		return false;
	if (gw_ksm_next_page(at->mm, &at->addr, item->addr + GW_PAGE_SIZE, &at->page))
		return true;
	gw_mm_put(at->mm);
	return false;
}

static void
put_at(struct gw_machine *m, const struct gw_ksm_at *at)
{
	gw_put_page(m, at->page);
	gw_mm_put(at->mm);
}

/* The page, and the one of an item of the unstable tree, become one if they can. */
static bool
merge_with(struct gw_ksm *ksm, const struct gw_ksm_at *at, struct gw_ksm_item *other)
{
	struct gw_machine *m = ksm->machine;
	struct gw_ksm_stable *s = NULL;
	struct gw_ksm_at first;

	if (!get_at(other, &first))
		return false;
	if (first.page != at->page && gw_ksm_same_bytes(m, first.page, at->page))
		s = gw_ksm_make_stable(ksm, &first, at->page);
	if (s) {
		gw_ksm_tree_remove(&ksm->unstable, &other->leaf);
		other->round = 0;
		(void)gw_ksm_merge(ksm, at, s, first.page);
	}
	put_at(m, &first);
	return s;
}

static struct gw_ksm_item *
item_of(struct gw_ksm_leaf *leaf)
{
	return (struct gw_ksm_item *)leaf; /* its first member */
}

/* A page that has not changed for a round. */
static void
look_in_unstable(struct gw_ksm *ksm, const struct gw_ksm_at *at, struct gw_ksm_item *item)
{
	struct gw_ksm_leaf *leaf = gw_ksm_tree_find(&ksm->unstable, item->sum, NULL);

	for (; leaf; leaf = gw_ksm_tree_find(&ksm->unstable, item->sum, leaf))
		if (merge_with(ksm, at, item_of(leaf)))
			return;
	item->leaf.sum = item->sum;
	item->round = ksm->round;
	gw_ksm_tree_insert(&ksm->unstable, &item->leaf);
}

static void
look_at(struct gw_ksm *ksm, const struct gw_ksm_at *at, struct gw_ksm_item *item)
{
	struct gw_machine *m = ksm->machine;
	struct gw_ksm_stable *s;
	bool unchanged;
	gw_pfn_t page;
	uint64_t sum;

	if (gw_page_ksm_node(m, at->page)) {
		item->known = false;
		return;
	}
	sum = gw_ksm_checksum(m, at->page);
	unchanged = item->known && item->sum == sum;
	item->known = true;
	item->sum = sum;
	s = gw_ksm_find_stable(ksm, sum, at->page, &page);
	if (s) { /* if it cannot be now, the next round will do: there shall be one such page */
		(void)gw_ksm_merge(ksm, at, s, page);
		gw_put_page(m, page);
		return;
	}
	if (unchanged)
		look_in_unstable(ksm, at, item);
}

/* ---- rounds ---- */

static void
move_to(struct gw_ksm *ksm, struct gw_ksm_slot *slot)
{
	ksm->cursor = slot;
	ksm->at = 0;
	ksm->item = slot ? &slot->items : NULL;
}

static void
begin_round(struct gw_ksm *ksm)
{
	struct gw_ksm_slot *first;

	gw_lru_add_drain_all(ksm->machine); /* a batch's reference is one too many */
	ksm->round++;
	ksm->unstable.root = NULL;
	gw_spin_lock(&ksm->lock);
	first = ksm->slots;
	gw_spin_unlock(&ksm->lock);
	move_to(ksm, first);
}

/* The cursor's address space has no more pages, or is gone. */
static void
next_slot(struct gw_ksm *ksm)
{
	struct gw_ksm_slot *slot = ksm->cursor;
	bool gone;

	while (*ksm->item)
		drop_item(ksm, ksm->item);
	move_to(ksm, slot->next);
	gw_spin_lock(&ksm->lock);
	gone = !slot->mm;
	gw_spin_unlock(&ksm->lock);
	if (gone)
		drop_slot(ksm, slot);
}

/* Look at the cursor's next page. False: it has none, and the cursor is at the next slot. */
static bool
step(struct gw_ksm *ksm)
{
	struct gw_ksm_at at = {.mm = get_mm(ksm->cursor)};
	struct gw_ksm_item *item;

	if (!at.mm) {
		next_slot(ksm);
		return false;
	}
	if (!gw_ksm_next_page(at.mm, &ksm->at, GW_VADDR_END, &at.page)) {
		gw_mm_put(at.mm);
		next_slot(ksm);
		return false;
	}
	at.addr = ksm->at;
	ksm->at += GW_PAGE_SIZE;
	item = take_item(ksm, at.addr);
	if (item)
		look_at(ksm, &at, item);
	put_at(ksm->machine, &at);
	return true;
}

int64_t
gw_ksm_scan(struct gw_ksm *ksm, uint64_t n)
{
	uint64_t done = 0;

	if (!begin(ksm))
		return -EBUSY;
	if (!ksm->cursor)
		begin_round(ksm);
	while (done < n && ksm->cursor)
		done += step(ksm);
	if (!ksm->cursor)
		gw_ksm_tidy(ksm);
	end(ksm);
	return (int64_t)done;
}

/* ---- the instance ---- */

void
gw_ksm_tunables_init(struct gw_ksm_tunables *tunables)
{
	*tunables = (struct gw_ksm_tunables){.max_page_sharing = 256};
}

int
gw_ksm_create(struct gw_machine *m, const struct gw_ksm_tunables *tunables, struct gw_ksm **out)
{
	struct gw_ksm *ksm;

	if (tunables->max_page_sharing < 2)
		return -EINVAL;
	ksm = m->ops->alloc(m->ctx, sizeof(*ksm));
	if (!ksm)
		return -ENOMEM;
	ksm->machine = m;
	ksm->tunables = *tunables;
	gw_spin_init(&ksm->lock, GW_RANK_LEAF);
	*out = ksm;
	return 0;
}

static int
unmerge_all(struct gw_ksm *ksm)
{
	int err = 0;

	for (struct gw_ksm_slot *slot = ksm->slots; slot && !err; slot = slot->next) {
		struct gw_mm *mm = get_mm(slot);

		if (!mm)
			continue;
		err = gw_ksm_unmerge_range(mm, 0, GW_VADDR_END);
		gw_mm_put(mm);
	}
	gw_ksm_tidy(ksm);
	return !err && ksm->nodes ? -EBUSY : err;
}

int
gw_ksm_destroy(struct gw_ksm *ksm)
{
	struct gw_machine *m;
	int err;

	if (!ksm)
		return 0;
	if (!begin(ksm))
		return -EBUSY;
	err = unmerge_all(ksm);
	if (err) {
		end(ksm);
		return err;
	}
	m = ksm->machine;
	while (ksm->slots) {
		if (ksm->slots->mm)
			gw_ptr_store_release(&ksm->slots->mm->ksm, NULL);
		drop_slot(ksm, ksm->slots);
	}
	m->ops->release(m->ctx, ksm, sizeof(*ksm));
	return 0;
}

int
gw_ksm_get_info(struct gw_ksm *ksm, struct gw_ksm_info *info)
{
	const struct gw_machine *m = ksm->machine;

	if (!begin(ksm))
		return -EBUSY;
	*info = (struct gw_ksm_info){.full_scans = ksm->cursor ? ksm->round - 1 : ksm->round};
	for (const struct gw_ksm_stable *s = ksm->nodes; s; s = s->next) {
		gw_pfn_t page = gw_u32_load_acquire(&s->node.pfn);
		uint32_t maps = gw_u32_load_relaxed(&gw_page(m, page)->mapcount);

		if (gw_page_ksm_node(m, page) != &s->node || !maps)
			continue;
		info->pages_shared++;
		info->pages_sharing += maps - 1;
	}
	end(ksm);
	return 0;
}
