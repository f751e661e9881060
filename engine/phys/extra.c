/* SPDX-License-Identifier: MIT */
/*
 * extra.c - the side table: what few pages have (struct gw_page_extra).
 *
 * Idea. One row a frame, made when the first page needs one, and there until the machine goes.
 * Tasks that make it at once agree on one.
 */
#include "engine/phys/buddy.h"

static size_t
table_bytes(const struct gw_machine *m)
{
	return (size_t)m->n_frames * sizeof(struct gw_page_extra);
}

int
gw_page_extra_make(struct gw_machine *m)
{
	void *none = NULL, *extra;

	if (gw_ptr_load_acquire(&m->extra))
		return 0;
	extra = m->ops->alloc(m->ctx, table_bytes(m));
	if (!extra)
		return -ENOMEM;
	/* release: pairs with the acquire in gw_page_extra() */
	if (!gw_ptr_cas_acq_rel(&m->extra, &none, extra))
		m->ops->release(m->ctx, extra, table_bytes(m));
	return 0;
}

void
gw_page_extra_release(struct gw_machine *m)
{
	void *extra = gw_ptr_load_relaxed(&m->extra);

	if (extra)
		m->ops->release(m->ctx, extra, table_bytes(m));
}
