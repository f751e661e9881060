/* SPDX-License-Identifier: MIT */
/*
 * frames.c - for scenarios about compaction: zones of few frames, each holding what the scenario
 * wants, and pages whose owner only knows where they are.
 */
#include <errno.h>
#include <stdio.h>

#include "engine/phys/phys.h"
#include "explore/scenarios/scenarios.h"

int
gw_frames_machine(gw_pfn_t n, unsigned block_order, unsigned n_cpus, struct gw_machine **out)
{
	struct gw_zone_config zone = {.name = "Normal", .end = n, .pcp_batch = 1, .pcp_high = 1};
	struct gw_machine_config config;

	gw_machine_config_init(&config);
	config.n_cpus = n_cpus;
	config.max_order = block_order;
	config.pageblock_order = block_order;
	config.n_frames = n;
	config.zones = &zone;
	config.n_zones = 1;
	config.lru_batch = 0;
	return gw_explore_machine(&config, out, NULL);
}

int
gw_frames_take_all(struct gw_machine *m)
{
	gw_pfn_t pfn, n = 0;

	while (!gw_alloc_pages(m, GW_GFP_MOVABLE | GW_GFP_NO_WATERMARKS, 0, 0, &pfn))
		n++;
	return n == m->n_frames ? 0 : -ENOMEM;
}

void
gw_frames_free(struct gw_machine *m, gw_pfn_t first, gw_pfn_t n)
{
	for (gw_pfn_t pfn = first; pfn < first + n; pfn++)
		gw_put_page(m, pfn);
	gw_drain_pages(m);
}

static int
move_owned(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode)
{
	(void)mode;
	gw_migrate_copy(m, dst, src, 0);
	return 0;
}

static const struct gw_movable_ops owner_ops = {.migrate = move_owned};

void
gw_frames_own(struct gw_machine *m, gw_pfn_t pfn)
{
	gw_page_set_movable(m, pfn, &owner_ops, 0);
}

void
gw_frames_give_up(struct gw_machine *m, gw_pfn_t pfn)
{
	gw_page_lock(m, pfn);
	gw_page_set_movable(m, pfn, NULL, 0);
	gw_page_unlock(m, pfn);
	gw_put_page(m, pfn);
}

/* What a letter stands for: gw_frames_describe(). */
static char
letter(uint32_t flags, const void *owner)
{
	switch (gw_flags_type(flags)) {
	case GW_PAGE_USED:
		return flags & GW_PG_ISOLATED ? 'i' : owner ? 'm' : 'u';
	case GW_PAGE_BUDDY:
		return (char)('0' + gw_flags_order(flags));
	case GW_PAGE_FREE:
		return '.';
	case GW_PAGE_PCP:
		return 'p';
	case GW_PAGE_RESERVED:
	case GW_PAGE_TAIL:
	default:
		return '-';
	}
}

void
gw_frames_describe(const struct gw_machine *m, char *line, size_t size)
{
	gw_pfn_t n = m->n_frames < size ? m->n_frames : (gw_pfn_t)size - 1;

	for (gw_pfn_t pfn = 0; pfn < n; pfn++) {
		const struct gw_page *page = gw_page(m, pfn);

		line[pfn] = letter(gw_page_flags(page), gw_ptr_load_relaxed(&page->owner));
	}
	line[n] = '\0';
}

void
gw_frames_describe_two(
	const struct gw_machine *m, gw_pfn_t one, gw_pfn_t other, char *line, size_t size)
{
	const gw_pfn_t pfns[] = {one, other};
	size_t n = 0;

	for (unsigned i = 0; i < 2 && n < size; i++) {
		const struct gw_page *page = gw_page(m, pfns[i]);
		uint32_t flags = gw_page_flags(page);

		n += (size_t)snprintf(line + n, size - n, "%sframe %u: refs %u, %s%s%s",
			i ? "; " : "", pfns[i], gw_ref_read(&page->refcount),
			gw_flags_type(flags) != GW_PAGE_USED ? "free"
			: gw_ptr_load_relaxed(&page->owner)  ? "owned"
							     : "in use",
			flags & GW_PG_ISOLATED ? ", isolated" : "",
			flags & GW_PG_LOCKED ? ", locked" : "");
	}
}
