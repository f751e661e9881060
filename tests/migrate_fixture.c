/* SPDX-License-Identifier: MIT */
/* migrate_fixture.c - see migrate_fixture.h. */
#include "test.h"

#include <errno.h>

#include "migrate_fixture.h"

static struct world *
world_of(struct gw_machine *m)
{
	return fixture_of(m)->user;
}

bool
is_locked(struct gw_machine *m, gw_pfn_t pfn)
{
	return gw_page_flags(gw_page(m, pfn)) & GW_PG_LOCKED;
}

static bool
fails_now(struct world *w)
{
	return test_random(&w->random) % 100 < w->fail_percent;
}

static bool
owner_isolate(struct gw_machine *m, gw_pfn_t page, enum gw_migrate_mode mode)
{
	struct world *w = world_of(m);

	(void)mode;
	assert_true(is_locked(m, page));
	w->isolated++;
	return !w->refuse_isolation && !fails_now(w);
}

static int
owner_unmap(struct gw_machine *m, gw_pfn_t page, enum gw_migrate_mode mode)
{
	struct world *w = world_of(m);

	(void)mode;
	assert_true(is_locked(m, page));
	w->unmapped++;
	if (fails_now(w))
		return test_random(&w->random) % 2 ? -EAGAIN : -EBUSY;
	return w->unmap_result;
}

static int
owner_migrate(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode)
{
	struct world *w = world_of(m);
	unsigned order = gw_flags_order(gw_page_flags(gw_page(m, src)));

	w->locked_in_move = is_locked(m, dst) && is_locked(m, src);
	if (w->moved++ == 0)
		w->flushes_at_first_move = gw_u64_load_relaxed(&w->f->flushes);
	w->moved_in_mode[mode]++;
	if (fails_now(w))
		return test_random(&w->random) % 4 ? -EAGAIN : -EIO;
	if (w->migrate_error)
		return w->migrate_error;
	gw_migrate_copy(m, dst, src, order);
	if (w->slots[gw_page_index(m, src)] == src)
		w->slots[gw_page_index(m, src)] = dst;
	return 0;
}

static void
owner_remap(struct gw_machine *m, gw_pfn_t src, gw_pfn_t winner)
{
	struct world *w = world_of(m);

	w->remapped++;
	w->winner = winner;
	w->locked_in_remap = is_locked(m, winner) && is_locked(m, src);
}

static void
owner_putback(struct gw_machine *m, gw_pfn_t page)
{
	assert_true(is_locked(m, page));
	world_of(m)->put_back++;
}

static int
owner_split(struct gw_machine *m, gw_pfn_t page, unsigned order)
{
	struct world *w = world_of(m);

	(void)page;
	(void)order;
	w->split++;
	return w->split_error;
}

const struct gw_movable_ops owner_ops = {
	.isolate = owner_isolate,
	.unmap = owner_unmap,
	.migrate = owner_migrate,
	.remap = owner_remap,
	.putback = owner_putback,
	.split = owner_split,
};

const struct gw_movable_ops plain_ops = {.migrate = owner_migrate};

void
world_give_up(struct world *w, uint32_t index)
{
	gw_pfn_t pfn = w->slots[index];

	w->slots[index] = FREED;
	gw_put_page(w->f->m, pfn);
}

static int
get_new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	struct world *w = ctx;

	assert_int_equal(gw_flags_order(gw_page_flags(gw_page(m, src))), order);
	w->gets++;
	if (w->give_up_index != GW_PFN_NONE) {
		world_give_up(w, w->give_up_index);
		w->give_up_index = GW_PFN_NONE;
	}
	if (w->targets_left == 0 || order > w->target_order_max)
		return -ENOMEM;
	w->targets_left--;
	if (w->offer != GW_PFN_NONE) {
		*dst = w->offer;
		w->offer = GW_PFN_NONE;
		return 0;
	}
	return gw_alloc_from_zonelist(m, GW_GFP_MOVABLE, 0, order, GW_WMARK_MIN, dst);
}

static void
put_new_page(void *ctx, struct gw_machine *m, gw_pfn_t dst, unsigned order)
{
	struct world *w = ctx;
	const struct gw_page *page = gw_page(m, dst);

	assert_int_equal(gw_flags_order(gw_page_flags(page)), order);
	w->puts++;
	w->last_put = dst;
	w->clean_at_put = !gw_ptr_load_relaxed(&page->owner) && gw_frame_index(page) == 0 &&
			  gw_page_flags(page) == (gw_flags_make(GW_PAGE_USED, order) |
							 (order ? GW_PG_COMPOUND : 0));
	gw_put_page(m, dst);
}

int
world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->f = fixture_create(FRAMES, 1, PB_ORDER);
	w->f->user = w;
	gw_page_list_init(&w->list);
	for (unsigned i = 0; i < SLOTS; i++)
		w->slots[i] = FREED;
	w->target = (struct gw_migrate_target){
		.get_new_page = get_new_page, .put_new_page = put_new_page, .ctx = w};
	w->targets_left = UINT32_MAX;
	w->target_order_max = UINT32_MAX;
	w->offer = GW_PFN_NONE;
	w->give_up_index = GW_PFN_NONE;
	*state = w;
	return 0;
}

int
world_teardown(void **state)
{
	struct world *w = *state;

	gw_putback_movable_pages(w->f->m, &w->list);
	for (uint32_t i = 0; i < SLOTS; i++)
		if (w->slots[i] != FREED)
			world_give_up(w, i);
	assert_int_equal(fixture_free_frames(w->f), FRAMES);
	fixture_destroy(w->f);
	free(w);
	return 0;
}

/* What frame number i of the page of `index` holds. */
static uint8_t
content(uint32_t index, gw_pfn_t i)
{
	return (uint8_t)(index * 7 + i * 3 + 1);
}

gw_pfn_t
own_page_of(struct world *w, uint32_t index, unsigned order, const struct gw_movable_ops *ops)
{
	gw_pfn_t pfn = fixture_alloc(w->f, order);

	for (gw_pfn_t i = 0; i < (gw_pfn_t)1 << order; i++)
		w->f->bytes[pfn + i][0] = content(index, i);
	w->slots[index] = pfn;
	gw_page_set_movable(w->f->m, pfn, ops, index);
	return pfn;
}

gw_pfn_t
own_page(struct world *w, uint32_t index)
{
	return own_page_of(w, index, 0, &owner_ops);
}

void
isolate(struct world *w, gw_pfn_t pfn)
{
	assert_int_equal(gw_isolate_page(w->f->m, pfn, GW_MIGRATE_SYNC, &w->list), 0);
}

int
migrate(struct world *w, enum gw_migrate_mode mode)
{
	return gw_migrate_pages(w->f->m, &w->list, &w->target, mode, GW_MR_COMPACTION, &w->stats);
}

uint32_t
refs(struct world *w, gw_pfn_t pfn)
{
	return gw_ref_read(&gw_page(w->f->m, pfn)->refcount);
}

uint64_t
count(struct world *w, enum gw_vm_event event)
{
	return gw_machine_count(w->f->m, event);
}

void
assert_owned(struct world *w, uint32_t index, unsigned order, gw_pfn_t pfn)
{
	assert_int_equal(w->slots[index], pfn);
	assert_int_equal(gw_page_index(w->f->m, pfn), index);
	assert_int_equal(refs(w, pfn), 1);
	assert_false(gw_page_flags(gw_page(w->f->m, pfn)) & (GW_PG_ISOLATED | GW_PG_LOCKED));
	for (gw_pfn_t i = 0; i < (gw_pfn_t)1 << order; i++)
		assert_int_equal(w->f->bytes[pfn + i][0], content(index, i));
}

bool
is_free(struct world *w, gw_pfn_t pfn)
{
	struct gw_frame_info info;

	assert_int_equal(gw_frame_info(w->f->m, pfn, &info), 0);
	return info.state == GW_STATE_BUDDY || info.state == GW_STATE_PCP;
}

gw_pfn_t
own_lru_page(struct world *w, uint32_t index, enum gw_lru lru)
{
	gw_pfn_t pfn = fixture_alloc(w->f, 0);

	w->f->bytes[pfn][0] = content(index, 0);
	w->slots[index] = pfn;
	gw_lru_add(w->f->m, pfn, lru);
	gw_page_set_movable(w->f->m, pfn, &owner_ops, index);
	return pfn;
}
