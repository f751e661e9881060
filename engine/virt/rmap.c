/* SPDX-License-Identifier: MIT */
/*
 * rmap.c - anon_vmas, their links to VMAs, file mappings' VMAs, and what pages know of their
 * entries. The walk from a page to these is in walk.c.
 *
 * Invariants, besides K1 and K2 (rmap.h)
 *   K3  all anon_vmas that a VMA is linked to have one root; a VMA has links exactly if it has
 *       an anon_vma
 *   K4  an anon_vma has a reference for each of its links, each child (of which it is the root) and
 *       each migration under way (R2, D2); the last to go frees it, after a grace period
 *   K5  an entry is copied only to a VMA whose link stands behind the source's, so a walk that has
 *       passed the source meets the copy later (R8, R9); the interval trees keep that order, and
 *       so does a file's tree of VMAs
 */
#include "engine/store/store.h"
#include "engine/virt/rmap.h"

void
gw_anon_vma_write_lock(struct gw_anon_vma *anon_vma)
{
	gw_rw_write_lock(gw_anon_vma_lock(anon_vma));
}

void
gw_anon_vma_write_unlock(struct gw_anon_vma *anon_vma)
{
	gw_rw_write_unlock(gw_anon_vma_lock(anon_vma));
}

/* ---- anon_vmas and links ---- */

/* With one reference, the caller's. root NULL: it will be one itself. */
static struct gw_anon_vma *
new_anon_vma(struct gw_machine *m, struct gw_anon_vma *root)
{
	struct gw_anon_vma *anon_vma = m->ops->alloc(m->ctx, sizeof(*anon_vma));

	if (!anon_vma)
		return NULL;
	anon_vma->machine = m;
	anon_vma->root = root ? root : anon_vma;
	if (root)
		gw_ref_get(&root->refs);
	gw_rw_init(&anon_vma->lock, GW_RANK_RMAP);
	gw_ref_set(&anon_vma->refs, 1);
	return anon_vma;
}

static void
free_anon_vma(gw_rcu_head *head)
{
	struct gw_anon_vma *anon_vma =
		(struct gw_anon_vma *)((char *)head - offsetof(struct gw_anon_vma, rcu));
	struct gw_machine *m = anon_vma->machine;

	m->ops->release(m->ctx, anon_vma, sizeof(*anon_vma));
}

void
gw_anon_vma_put(struct gw_anon_vma *anon_vma)
{
	struct gw_anon_vma *root = anon_vma->root;

	if (!gw_ref_put(&anon_vma->refs))
		return;
	gw_rcu_defer(&anon_vma->rcu, free_anon_vma);
	if (root != anon_vma)
		gw_anon_vma_put(root);
}

static struct gw_anon_link *
new_link(struct gw_machine *m)
{
	return m->ops->alloc(m->ctx, sizeof(struct gw_anon_link));
}

static void
release_link(struct gw_machine *m, struct gw_anon_link *link)
{
	m->ops->release(m->ctx, link, sizeof(*link));
}

/* The tree gets the node where the VMA is now. The tree's lock held for writing. */
static void
insert_node(struct gw_itree *tree, struct gw_inode *node, const struct gw_vma *vma)
{
	node->start = gw_vma_pgoff(vma);
	node->end = gw_vma_index(vma, gw_vma_end(vma));
	if (gw_fix(vma->mm->machine, GW_FIX_FORK_TAIL_ORDER)) /* K5 */
		gw_itree_insert(tree, node);
	else
		gw_itree_insert_first(tree, node);
}

static void
insert_link(struct gw_anon_link *link)
{
	insert_node(&link->anon_vma->links, &link->node, link->vma);
}

static void
insert_links(struct gw_vma *vma)
{
	for (struct gw_anon_link *link = vma->links; link; link = link->next)
		insert_link(link);
}

/* Root lock held for writing. */
static void
add_link(struct gw_anon_link *link, struct gw_vma *vma, struct gw_anon_vma *anon_vma)
{
	gw_ref_get(&anon_vma->refs);
	link->vma = vma;
	link->anon_vma = anon_vma;
	link->next = vma->links;
	vma->links = link;
	insert_link(link);
}

static int
link_vma(struct gw_vma *vma, struct gw_anon_vma *anon_vma)
{
	struct gw_anon_link *link = new_link(vma->mm->machine);

	if (!link)
		return -ENOMEM;
	gw_anon_vma_write_lock(anon_vma);
	add_link(link, vma, anon_vma);
	gw_anon_vma_write_unlock(anon_vma);
	return 0;
}

/* True if the VMA now has this one; false: another fault was faster. */
static bool
publish(struct gw_vma *vma, struct gw_anon_vma *anon_vma, struct gw_anon_link *link)
{
	bool first;

	gw_anon_vma_write_lock(anon_vma);
	gw_spin_lock(&vma->mm->table_lock);
	first = !gw_ptr_load_relaxed(&vma->anon_vma);
	if (first) {
		add_link(link, vma, anon_vma);
		gw_ptr_store_release(&vma->anon_vma, anon_vma);
	}
	gw_spin_unlock(&vma->mm->table_lock);
	gw_anon_vma_write_unlock(anon_vma);
	return first;
}

int
gw_anon_vma_prepare(struct gw_vma *vma)
{
	struct gw_machine *m = vma->mm->machine;
	struct gw_anon_vma *anon_vma;
	struct gw_anon_link *link;

	if (gw_ptr_load_acquire(&vma->anon_vma)) /* pairs with the release in publish() */
		return 0;
	anon_vma = new_anon_vma(m, NULL);
	if (!anon_vma)
		return -ENOMEM;
	link = new_link(m);
	if (link && !publish(vma, anon_vma, link))
		release_link(m, link);
	gw_anon_vma_put(anon_vma);
	return link ? 0 : -ENOMEM;
}

int
gw_anon_vma_clone(struct gw_vma *dst, const struct gw_vma *src)
{
	GW_CHECK_ON(dst->mm->machine, dst->links != NULL);
	for (const struct gw_anon_link *link = src->links; link; link = link->next) {
		if (link_vma(dst, link->anon_vma)) {
			gw_anon_vma_unlink(dst);
			return -ENOMEM;
		}
	}
	gw_ptr_store_release(&dst->anon_vma, gw_ptr_load_relaxed(&src->anon_vma));
	return 0;
}

int
gw_anon_vma_fork(struct gw_vma *child, const struct gw_vma *parent)
{
	struct gw_anon_vma *of_parent = gw_ptr_load_relaxed(&parent->anon_vma);
	struct gw_anon_vma *own;
	int err;

	if (!of_parent)
		return 0;
	err = gw_anon_vma_clone(child, parent);
	if (err)
		return err;
	own = new_anon_vma(child->mm->machine, of_parent->root);
	err = own ? link_vma(child, own) : -ENOMEM;
	if (err)
		gw_anon_vma_unlink(child);
	else
		gw_ptr_store_release(&child->anon_vma, own);
	if (own)
		gw_anon_vma_put(own);
	return err;
}

void
gw_anon_vma_unlink(struct gw_vma *vma)
{
	struct gw_anon_link *link;

	while ((link = vma->links)) {
		gw_anon_vma_write_lock(link->anon_vma);
		gw_itree_remove(&link->anon_vma->links, &link->node);
		vma->links = link->next;
		gw_anon_vma_write_unlock(link->anon_vma);
		gw_anon_vma_put(link->anon_vma);
		release_link(vma->mm->machine, link);
	}
	gw_ptr_store_relaxed(&vma->anon_vma, NULL);
}

void
gw_file_link(struct gw_vma *vma)
{
	struct gw_mapping *mapping = vma->mapping;

	if (!mapping)
		return;
	gw_mapping_get(mapping);
	gw_rw_write_lock(&mapping->rmap_lock);
	insert_node(&mapping->vmas, &vma->file_node, vma);
	gw_rw_write_unlock(&mapping->rmap_lock);
}

void
gw_file_unlink(struct gw_vma *vma)
{
	struct gw_mapping *mapping = vma->mapping;

	if (!mapping)
		return;
	gw_rw_write_lock(&mapping->rmap_lock);
	gw_itree_remove(&mapping->vmas, &vma->file_node);
	gw_rw_write_unlock(&mapping->rmap_lock);
	gw_mapping_put(mapping);
}

/* Without a lock for all of the family the VMA changes in sight of walks that hold another's (R5),
 * and finds its places in the trees afterwards. */
static void
move_links(struct gw_vma *vma)
{
	for (struct gw_anon_link *link = vma->links; link; link = link->next) {
		gw_anon_vma_write_lock(link->anon_vma);
		gw_itree_remove(&link->anon_vma->links, &link->node);
		insert_link(link);
		gw_anon_vma_write_unlock(link->anon_vma);
	}
}

void
gw_vma_change_begin(struct gw_vma *vma)
{
	struct gw_anon_vma *anon_vma = gw_ptr_load_acquire(&vma->anon_vma);

	if (vma->mapping) {
		gw_rw_write_lock(&vma->mapping->rmap_lock);
		gw_itree_remove(&vma->mapping->vmas, &vma->file_node);
	}
	if (!anon_vma)
		return;
	gw_anon_vma_write_lock(anon_vma);
	if (!gw_fix(anon_vma->machine, GW_FIX_ROOT_ANON_VMA_LOCK))
		return;
	for (struct gw_anon_link *link = vma->links; link; link = link->next)
		gw_itree_remove(&link->anon_vma->links, &link->node);
}

void
gw_vma_change_end(struct gw_vma *vma)
{
	struct gw_anon_vma *anon_vma = gw_ptr_load_relaxed(&vma->anon_vma);

	if (anon_vma) {
		if (gw_fix(anon_vma->machine, GW_FIX_ROOT_ANON_VMA_LOCK))
			insert_links(vma);
		gw_anon_vma_write_unlock(anon_vma);
		if (!gw_fix(anon_vma->machine, GW_FIX_ROOT_ANON_VMA_LOCK))
			move_links(vma);
	}
	if (vma->mapping) {
		insert_node(&vma->mapping->vmas, &vma->file_node, vma);
		gw_rw_write_unlock(&vma->mapping->rmap_lock);
	}
}

/* ---- pages ---- */

void
gw_rmap_set_anon(
	struct gw_machine *m, gw_pfn_t pfn, struct gw_vma *vma, gw_vaddr_t addr, bool shared)
{
	struct gw_page *page = gw_page(m, pfn);
	struct gw_anon_vma *anon_vma = gw_ptr_load_relaxed(&vma->anon_vma);
	uint64_t index = gw_vma_index(vma, addr);

	GW_BUG_ON(m, !anon_vma);
	GW_CHECK_ON(m, index > UINT32_MAX);
	if (shared)
		anon_vma = anon_vma->root;
	gw_frame_set_index(page, (uint32_t)index);
	gw_ptr_store_release(&page->owner, (void *)((uintptr_t)anon_vma | GW_OWNER_ANON));
}

void
gw_rmap_new_anon(struct gw_machine *m, gw_pfn_t page, struct gw_vma *vma, gw_vaddr_t addr)
{
	gw_u32_store_relaxed(&gw_page(m, page)->mapcount, 1);
	gw_rmap_set_anon(m, page, vma, addr, false);
}

void
gw_rmap_new_large(
	struct gw_machine *m, gw_pfn_t page, struct gw_vma *vma, gw_vaddr_t addr, bool huge)
{
	struct gw_page *head = gw_page(m, page);
	gw_pfn_t n = (gw_pfn_t)1 << gw_flags_order(gw_page_flags(head));

	gw_u32_store_relaxed(&head->mapcount, huge ? 1 : n);
	gw_u32_store_relaxed(gw_page_entire_maps(head), huge);
	for (gw_pfn_t i = 0; i < n && !huge; i++)
		gw_u32_store_relaxed(gw_page_frame_maps(head, i), 1);
	gw_rmap_set_anon(m, page, vma, addr, false);
}

struct gw_page *
gw_rmap_dup_frame(struct gw_machine *m, gw_pfn_t frame)
{
	gw_pfn_t head = gw_page_head(m, frame);
	struct gw_page *page = gw_page(m, head);

	gw_u32_add_relaxed(gw_page_frame_maps(page, frame - head), 1);
	return page;
}

struct gw_page *
gw_rmap_remove_frame(struct gw_machine *m, gw_pfn_t frame)
{
	gw_pfn_t head = gw_page_head(m, frame);
	struct gw_page *page = gw_page(m, head);
	uint32_t before = gw_u32_sub_acq_rel(gw_page_frame_maps(page, frame - head), 1);

	GW_BUG_ON(m, before == 0);
	return page;
}

void
gw_rmap_dup_huge(struct gw_machine *m, gw_pfn_t page)
{
	gw_u32_add_relaxed(gw_page_entire_maps(gw_page(m, page)), 1);
	gw_u32_add_relaxed(&gw_page(m, page)->mapcount, 1);
}

void
gw_rmap_remove_huge(struct gw_machine *m, gw_pfn_t page)
{
	uint32_t before = gw_u32_sub_acq_rel(gw_page_entire_maps(gw_page(m, page)), 1);

	GW_BUG_ON(m, before == 0 || gw_u32_sub_acq_rel(&gw_page(m, page)->mapcount, 1) == 0);
}

void
gw_rmap_split_huge(struct gw_machine *m, gw_pfn_t page)
{
	struct gw_page *head = gw_page(m, page);

	/* Never fewer references than maps, nor an entry too few. */
	gw_ref_add(&head->refcount, GW_PTES_PER_TABLE - 1);
	gw_u32_add_relaxed(&head->mapcount, GW_PTES_PER_TABLE - 1);
	for (gw_pfn_t i = 0; i < GW_PTES_PER_TABLE; i++)
		gw_u32_add_relaxed(gw_page_frame_maps(head, i), 1);
	gw_u32_sub_acq_rel(gw_page_entire_maps(head), 1);
}

/* Entries of the lowest tables, and *entire huge ones. */
static uint32_t
count_entries(const struct gw_machine *m, gw_pfn_t frame, uint32_t *entire)
{
	gw_pfn_t pfn = gw_page_head(m, frame);
	struct gw_page *head = gw_page(m, pfn);

	*entire = 0;
	if (!(gw_page_flags(head) & GW_PG_COMPOUND))
		return gw_u32_load_relaxed(&head->mapcount);
	*entire = gw_u32_load_relaxed(gw_page_entire_maps(head));
	return gw_u32_load_relaxed(gw_page_frame_maps(head, frame - pfn));
}

uint32_t
gw_frame_mapcount(const struct gw_machine *m, gw_pfn_t frame)
{
	uint32_t entire, n = count_entries(m, frame, &entire);

	return n + (entire > 0);
}

uint32_t
gw_frame_entries(const struct gw_machine *m, gw_pfn_t frame)
{
	uint32_t entire, n = count_entries(m, frame, &entire);

	return n + entire;
}

uint32_t
gw_page_total_mapcount(const struct gw_machine *m, gw_pfn_t page)
{
	struct gw_page *head = gw_page(m, page);
	gw_pfn_t n = (gw_pfn_t)1 << gw_flags_order(gw_page_flags(head));
	uint32_t entire = n > 1 ? gw_u32_load_relaxed(gw_page_entire_maps(head)) : 0;
	uint32_t total = entire;

	for (gw_pfn_t i = 0; i < n; i++)
		total += gw_frame_mapcount(m, page + i);
	return entire > 0 ? total - n : total;
}

bool
gw_page_partially_mapped(const struct gw_machine *m, gw_pfn_t page)
{
	struct gw_page *head = gw_page(m, page);
	uint32_t flags = gw_page_flags(head), maps = gw_u32_load_relaxed(&head->mapcount);

	return flags & GW_PG_COMPOUND && maps > 0 && maps < 1u << gw_flags_order(flags) &&
	       gw_u32_load_relaxed(gw_page_entire_maps(head)) == 0;
}

void
gw_rmap_keep_dirty(struct gw_machine *m, gw_pte_t pte)
{
	const struct gw_page *page;
	gw_pfn_t pfn;

	if (!(pte & GW_PTE_DIRTY))
		return;
	pfn = gw_page_head(m, gw_pte_pfn(pte));
	page = gw_page(m, pfn);
	/* An anonymous page that has no copy in swap is as good as dirty. */
	if (!gw_owner_is_anon(gw_ptr_load_acquire(&page->owner)) ||
		gw_page_flags(page) & GW_PG_SWAPCACHE)
		gw_page_set_dirty(m, pfn);
}

/* May the anon_vma that the page names be trusted (K2)? */
static bool
still_mapped(const struct gw_machine *m, gw_pfn_t page)
{
	bool mapped = gw_page_mapped(m, page);

	return gw_fix(m, GW_FIX_MAPPED_RECHECK) ? mapped : true;
}

struct gw_anon_vma *
gw_page_get_anon_vma(struct gw_machine *m, gw_pfn_t page)
{
	struct gw_anon_vma *anon_vma = NULL;
	void *owner;

	/* A page that is mapped has a VMA linked to its anon_vma: a grace period that ends the
	 * latter's memory begins later than this section (R1). */
	gw_rcu_read_lock();
	owner = gw_ptr_load_acquire(&gw_page(m, page)->owner);
	if (gw_owner_is_anon(owner) && !gw_owner_is_ksm(owner) && still_mapped(m, page)) {
		anon_vma = (struct gw_anon_vma *)((uintptr_t)owner - GW_OWNER_ANON);
		if (!gw_ref_get_unless_zero(&anon_vma->refs))
			anon_vma = NULL;
	}
	gw_rcu_read_unlock();
	if (anon_vma && !still_mapped(m, page)) {
		gw_anon_vma_put(anon_vma);
		return NULL;
	}
	return anon_vma;
}
