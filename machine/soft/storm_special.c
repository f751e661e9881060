/* SPDX-License-Identifier: MIT */
/*
 * storm_special.c - the storm's balloon and its merged pages.
 *
 * Idea. The balloon's host writes over what it is given, and looks when it has to give it back:
 * nobody of the machine may have been there meanwhile. Pages of a program's STORM_SAME region say
 * the same wherever they are, if they have the same version: so they merge with each other and with
 * those of other programs, and must go on saying what their own program wrote there last.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/phys/phys.h"
#include "godwit/balloon.h"
#include "godwit/ksm.h"
#include "machine/soft/storm_internal.h"

#define HOSTS_BYTE 0x6b

/* ---- the balloon ---- */

/* Whose frame is it? */
enum { MACHINES, HOSTS };

static uint8_t *
bytes_of(const struct storm *s, gw_pfn_t frame)
{
	return s->m->ops->frame_address(s->m->ctx, frame);
}

static int
give(void *ctx, gw_pfn_t page, unsigned order)
{
	struct storm *s = ctx;

	for (gw_pfn_t pfn = page; pfn < page + ((gw_pfn_t)1 << order); pfn++) {
		if (gw_u32_xchg_acq_rel(&s->hosts[pfn], HOSTS) != MACHINES)
			storm_lost(s, "frame %u was given to the host twice", pfn);
		memset(bytes_of(s, pfn), HOSTS_BYTE, GW_PAGE_SIZE);
	}
	return 0;
}

static bool
is_untouched(const struct storm *s, gw_pfn_t pfn)
{
	const uint8_t *bytes = bytes_of(s, pfn);

	return bytes[0] == HOSTS_BYTE && memcmp(bytes, bytes + 1, GW_PAGE_SIZE - 1) == 0;
}

static void
take_back(void *ctx, gw_pfn_t page, unsigned order)
{
	struct storm *s = ctx;

	for (gw_pfn_t pfn = page; pfn < page + ((gw_pfn_t)1 << order); pfn++) {
		if (!is_untouched(s, pfn))
			storm_lost(s, "frame %u was written while it was the host's", pfn);
		if (gw_u32_xchg_acq_rel(&s->hosts[pfn], MACHINES) != HOSTS)
			storm_lost(s, "frame %u came back from the host twice", pfn);
	}
}

void
storm_balloon(struct storm_thread *t)
{
	struct storm *s = t->s;
	uint64_t most = s->n_frames / 16;

	if (gw_balloon_frames(s->balloon) > most || storm_below(t, 3) == 0)
		(void)gw_balloon_deflate(s->balloon, 1 + storm_below(t, 1024));
	else if (storm_below(t, 4) == 0)
		(void)gw_balloon_inflate_blocks(s->balloon, 1);
	else
		(void)gw_balloon_inflate(s->balloon, 1 + storm_below(t, 256));
}

void
storm_deflate(struct storm *s)
{
	(void)gw_balloon_deflate(s->balloon, UINT64_MAX);
}

/* ---- merged pages ---- */

bool
storm_join(struct storm_thread *t, struct storm_program *p)
{
	int err = gw_ksm_join(t->s->ksm, p->mm);

	if (err && err != -ENOMEM)
		storm_lost(t->s, "address space %u: joining gave %d", gw_mm_id(p->mm), err);
	return err == 0;
}

static void
note_sharing(struct storm *s)
{
	struct gw_ksm_info info;

	if (gw_ksm_get_info(s->ksm, &info))
		return;
	pthread_mutex_lock(&s->table);
	if (info.pages_sharing > gw_u64_load_relaxed(&s->most_sharing))
		gw_u64_store_relaxed(&s->most_sharing, info.pages_sharing);
	pthread_mutex_unlock(&s->table);
}

static void
work_on_same(struct storm_thread *t, struct storm_program *p)
{
	struct storm_region *r = &p->regions[STORM_SAME];

	pthread_mutex_lock(&r->mutex);
	if (storm_below(t, 2))
		(void)storm_write_same(t, p, r);
	else
		(void)storm_verify(t, p, r, r->first, r->end);
	pthread_mutex_unlock(&r->mutex);
}

void
storm_ksm(struct storm_thread *t, struct storm_program *p)
{
	int64_t looked;

	if (storm_below(t, 2)) {
		work_on_same(t, p);
		return;
	}
	looked = gw_ksm_scan(t->s->ksm, 1 + storm_below(t, 1024));
	if (looked < 0 && looked != -EBUSY)
		storm_lost(t->s, "looking for equal pages gave %lld", (long long)looked);
	note_sharing(t->s);
}

/* ---- both ---- */

int
storm_special_open(struct storm *s)
{
	const struct gw_balloon_driver driver = {.give = give, .take_back = take_back, .ctx = s};
	struct gw_ksm_tunables tunables;
	int err;

	s->hosts = calloc(s->n_frames, sizeof(*s->hosts));
	if (!s->hosts)
		return -ENOMEM;
	gw_ksm_tunables_init(&tunables);
	tunables.max_page_sharing = 8;
	err = gw_ksm_create(s->m, &tunables, &s->ksm);
	return err ? err : gw_balloon_create(s->m, &driver, &s->balloon);
}

void
storm_special_close(struct storm *s)
{
	int err = s->ksm ? gw_ksm_destroy(s->ksm) : 0;

	if (err)
		storm_lost(s, "ending the merging gave %d", err);
	gw_balloon_destroy(s->balloon);
	free(s->hosts);
}
