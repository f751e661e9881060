/* SPDX-License-Identifier: MIT */
/* slots_fixture.c - see slots_fixture.h. */
#include "slots_fixture.h"

#include <string.h>

#include "test.h"

static struct slot *
slot_of(struct gw_machine *m, gw_pfn_t page)
{
	struct slots *slots = fixture_of(m)->user;

	return &slots->all[gw_page_index(m, page)];
}

static bool
owner_isolate(struct gw_machine *m, gw_pfn_t page, enum gw_migrate_mode mode)
{
	struct slot *s = slot_of(m, page);
	bool mine;

	(void)mode;
	pthread_mutex_lock(&s->mutex);
	mine = s->pfn == page && !s->isolated;
	if (mine)
		s->isolated = true;
	pthread_mutex_unlock(&s->mutex);
	return mine;
}

static int
owner_migrate(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode)
{
	struct slots *slots = fixture_of(m)->user;
	struct slot *s = slot_of(m, src);

	(void)mode;
	gw_migrate_copy(m, dst, src, s->order);
	pthread_mutex_lock(&s->mutex);
	if (s->pfn != src || !s->isolated)
		gw_u64_add_relaxed(&slots->mistakes, 1);
	s->pfn = dst;
	s->isolated = false;
	pthread_mutex_unlock(&s->mutex);
	gw_u64_add_relaxed(&slots->moved, 1);
	return 0;
}

static void
owner_putback(struct gw_machine *m, gw_pfn_t page)
{
	struct slot *s = slot_of(m, page);

	pthread_mutex_lock(&s->mutex);
	s->isolated = false;
	pthread_mutex_unlock(&s->mutex);
}

const struct gw_movable_ops slot_ops = {
	.isolate = owner_isolate, .migrate = owner_migrate, .putback = owner_putback};

void
slots_create(struct slots *slots, struct fixture *f, unsigned n)
{
	slots->all = calloc(n, sizeof(*slots->all));
	assert_non_null(slots->all);
	slots->f = f;
	slots->n = n;
	f->user = slots;
	for (unsigned i = 0; i < n; i++) {
		pthread_mutex_init(&slots->all[i].mutex, NULL);
		slots->all[i].pfn = GW_PFN_NONE;
	}
}

void
slots_destroy(struct slots *slots)
{
	for (unsigned i = 0; i < slots->n; i++)
		pthread_mutex_destroy(&slots->all[i].mutex);
	free(slots->all);
}

struct slot *
slots_grab(struct slots *slots, uint64_t *random, bool full)
{
	struct slot *s = &slots->all[test_random(random) % slots->n];

	pthread_mutex_lock(&s->mutex);
	if (!s->isolated && (s->pfn != GW_PFN_NONE) == full)
		return s;
	pthread_mutex_unlock(&s->mutex);
	return NULL;
}

void
slot_fill(struct slots *slots, struct slot *s, gw_pfn_t page, unsigned order, uint64_t value,
	enum gw_lru lru)
{
	s->value = value;
	s->order = order;
	s->pfn = page;
	for (gw_pfn_t i = 0; i < (gw_pfn_t)1 << order; i++)
		memcpy(slots->f->bytes[page + i], &value, sizeof(value));
	if (lru != GW_LRU_NR)
		gw_lru_add(slots->f->m, page, lru);
	gw_page_set_movable(slots->f->m, page, &slot_ops, (uint32_t)(s - slots->all));
}

void
slot_check(struct slots *slots, const struct slot *s)
{
	for (gw_pfn_t i = 0; i < (gw_pfn_t)1 << s->order; i++)
		if (memcmp(slots->f->bytes[s->pfn + i], &s->value, sizeof(s->value)))
			gw_u64_add_relaxed(&slots->mistakes, 1);
}
