/* SPDX-License-Identifier: MIT */
/* embed.c - a program with movable pages of its own, and godwit to make room among them. */
#include <stdio.h>
#include <stdlib.h>

#include <godwit/godwit.h>

#define FRAMES 65536 /* 256 MiB in frames of 4 KiB */
#define HUGE   9     /* order of a huge page: 2^9 frames */

static gw_pfn_t where[FRAMES]; /* the program's pages by handle, which is their index */

/* All that the engine needs from an owner of pages: take note that src is now dst. */
static int
move(struct gw_machine *m, gw_pfn_t dst, gw_pfn_t src, enum gw_migrate_mode mode)
{
	(void)mode;
	where[gw_page_index(m, src)] = dst;
	return 0;
}

static const struct gw_movable_ops ops = {.migrate = move};

/* Fill memory with movable pages, then give three of four back: no huge page is left. */
static void
fragment(struct gw_machine *m)
{
	uint32_t n = 0;

	for (; n < FRAMES && gw_alloc_pages(m, GW_GFP_MOVABLE, 0, 0, &where[n]) == 0; n++)
		gw_page_set_movable(m, where[n], &ops, n);
	for (uint32_t handle = 0; handle < n; handle++)
		if (rand() % 4)
			gw_put_page(m, where[handle]);
}

static void
report(struct gw_machine *m, const char *when)
{
	struct gw_zone_info z;

	gw_drain_all_pages(m);
	if (gw_zone_info(m, 0, &z) == 0)
		printf("%s: %d huge pages free, unusable index %d, fragmentation index %d\n", when,
			(int)gw_zone_available(m, 0, HUGE),
			gw_unusable_index(z.free_blocks, z.n_orders, HUGE),
			gw_fragmentation_index(z.free_blocks, z.n_orders, HUGE));
}

int
main(void)
{
	struct gw_zone_config zone = {.name = "Normal", .end = FRAMES};
	struct gw_compact_request request = {
		.planner = GW_PLANNER_EVACUATE, .order = HUGE, .count = 16};
	struct gw_machine_config config;
	struct gw_compact_stats stats;
	struct gw_machine *m;
	struct gw_task task;

	gw_machine_config_init(&config);
	config.n_frames = FRAMES;
	config.zones = &zone;
	config.n_zones = 1;
	if (gw_machine_create(&config, &gw_bare_ops, NULL, &m, NULL) ||
		gw_task_attach(&task, m, 0) || gw_seed_free(m, 0, FRAMES))
		return 1;
	gw_seed_done(m);
	fragment(m);
	report(m, "before");
	gw_compact_zone(m, 0, &request, &stats);
	report(m, "after");
	printf("%d pages moved\n", (int)stats.migrate.succeeded);
	if (gw_machine_check(m, NULL, NULL) || stats.result != GW_COMPACT_SUCCESS)
		return 1;
	gw_task_detach(&task);
	gw_machine_destroy(m);
	return 0;
}
