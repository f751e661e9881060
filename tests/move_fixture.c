/* SPDX-License-Identifier: MIT */
/* move_fixture.c - see move_fixture.h. */
#include "test.h"

#include "move_fixture.h"

/* The machine's ctx is the soft machine's: hooks find their mover by the machine's ops. */
static struct mover *
mover_of(const struct gw_machine *m)
{
	return (struct mover *)((char *)(uintptr_t)m->ops - offsetof(struct mover, ops));
}

static void
run_hook(struct mover *mv, void (*hook)(struct mover *mv))
{
	struct gw_task task;

	if (!hook)
		return;
	assert_int_equal(gw_task_attach(&task, mv->m, 1), 0);
	hook(mv);
	gw_task_detach(&task);
}

static void
flush_hook(void *ctx, const gw_pfn_t *frames, size_t n)
{
	struct mover *mv = mover_of(gw_current()->machine);

	mv->real_ops->flush_frames(ctx, frames, n);
	run_hook(mv, mv->at_flush);
}

/* Only of the move: a fault copies, too, under locks that the hook may want. */
static void
copy_hook(void *ctx, const struct gw_copy *copies, size_t n)
{
	struct mover *mv = mover_of(gw_current()->machine);

	if (copies->dst == mv->new_page)
		run_hook(mv, mv->at_copy);
	mv->real_ops->copy_frames(ctx, copies, n);
}

static int
get_new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	struct mover *mv = ctx;
	int err;

	(void)src;
	mv->gets++;
	err = gw_alloc_from_zonelist(m, GW_GFP_MOVABLE, 0, order, GW_WMARK_MIN, dst);
	if (!err)
		mv->new_page = *dst;
	return err;
}

static void
put_new_page(void *ctx, struct gw_machine *m, gw_pfn_t dst, unsigned order)
{
	struct mover *mv = ctx;
	const struct gw_page *page = gw_page(m, dst);

	mv->puts++;
	mv->clean_at_put = !gw_ptr_load_relaxed(&page->owner) && gw_frame_index(page) == 0 &&
			   gw_page_flags(page) == gw_flags_make(GW_PAGE_USED, order) &&
			   gw_ref_read(&page->refcount) == 1 &&
			   gw_u32_load_relaxed(&page->mapcount) == 0;
	gw_put_page(m, dst);
}

static void
stayed(void *ctx, struct gw_machine *m, gw_pfn_t page, int err)
{
	struct mover *mv = ctx;

	(void)m;
	(void)page;
	mv->stayed++;
	mv->why = err;
}

int
mover_setup(void **state)
{
	struct mover *mv = calloc(1, sizeof(*mv));

	assert_non_null(mv);
	mv->s = spaces_create(2048);
	mv->m = mv->s->m;
	mv->real_ops = mv->m->ops;
	mv->ops = *mv->real_ops;
	mv->ops.flush_frames = flush_hook;
	mv->ops.copy_frames = copy_hook;
	mv->m->ops = &mv->ops;
	mv->target = (struct gw_migrate_target){.get_new_page = get_new_page,
		.put_new_page = put_new_page,
		.ctx = mv,
		.stayed = stayed};
	mv->page = mv->new_page = GW_PFN_NONE;
	gw_page_list_init(&mv->list);
	*state = mv;
	return 0;
}

int
mover_teardown(void **state)
{
	struct mover *mv = *state;

	gw_rcu_barrier(); /* what is freed late asks the ops, too */
	mv->m->ops = mv->real_ops;
	spaces_destroy(mv->s);
	free(mv);
	return 0;
}

int
try_isolate(struct mover *mv, gw_pfn_t page, enum gw_migrate_mode mode)
{
	gw_lru_add_drain_all(mv->m);
	return gw_isolate_page(mv->m, page, mode, &mv->list);
}

int
migrate(struct mover *mv, enum gw_migrate_mode mode)
{
	mv->stats = (struct gw_migrate_stats){0};
	mv->gets = mv->puts = mv->stayed = 0;
	mv->why = 0;
	return gw_migrate_pages(mv->m, &mv->list, &mv->target, mode, GW_MR_COMPACTION, &mv->stats);
}

gw_pfn_t
move(struct mover *mv, gw_pfn_t page)
{
	assert_int_equal(try_isolate(mv, page, GW_MIGRATE_SYNC), 0);
	assert_int_equal(migrate(mv, GW_MIGRATE_SYNC), 0);
	assert_int_equal(mv->stats.succeeded, 1);
	assert_int_equal(mv->stayed, 0);
	assert_true(is_free(mv, page));
	return mv->new_page;
}

void
put_back(struct mover *mv)
{
	gw_putback_movable_pages(mv->m, &mv->list);
}

uint32_t
refs(const struct mover *mv, gw_pfn_t page)
{
	return gw_ref_read(&gw_page(mv->m, page)->refcount);
}

uint32_t
flags(const struct mover *mv, gw_pfn_t page)
{
	return gw_page_flags(gw_page(mv->m, page));
}

bool
is_free(const struct mover *mv, gw_pfn_t page)
{
	return gw_flags_type(flags(mv, page)) != GW_PAGE_USED;
}
