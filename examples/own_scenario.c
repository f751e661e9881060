/* SPDX-License-Identifier: MIT */
/* own_scenario.c - every interleaving of a change of one's own: no addition is lost while pages
 * move. */
#include <errno.h>
#include <stdio.h>

#include <godwit/explore.h>
#include <godwit/godwit.h>

struct state {
	struct gw_machine *m;
	struct gw_mm *mm;
	gw_vaddr_t at;
	int status; /* of the move: the page's node, or a negative errno */
};

static int
setup(void *arg)
{
	const struct gw_zone_config zones[] = {
		{.name = "Near", .end = 64}, {.name = "Far", .start = 64, .end = 128, .node = 1}};
	struct gw_machine_config config;
	struct state *s = arg;
	int err;

	gw_machine_config_init(&config);
	config.n_cpus = 2;
	config.max_order = 4;
	config.pageblock_order = 3;
	config.n_frames = 128;
	config.zones = zones;
	config.n_zones = 2;
	config.lru_batch = 0;
	err = gw_explore_machine(&config, &s->m, NULL);
	if (!err)
		err = gw_mm_create(s->m, &s->mm);
	if (!err)
		err = gw_mmap(s->mm, 0, GW_PAGE_SIZE, GW_PROT_READ | GW_PROT_WRITE, 0, &s->at);
	return err ? err : gw_cpu_store(s->mm, s->at, 41);
}

static void
teardown(void *arg)
{
	struct state *s = arg;

	gw_mm_put(s->mm);
	gw_machine_destroy(s->m);
}

static void
move(void *arg)
{
	struct state *s = arg;
	const int far = 1;

	(void)!gw_move_pages(s->mm, 1, &s->at, &far, &s->status, 0);
}

static void
add(void *arg)
{
	struct state *s = arg;

	gw_explore_check(gw_cpu_add(s->mm, s->at, 1, NULL) == 0);
}

static void
check(void *arg)
{
	struct state *s = arg;
	uint64_t sum = 0;

	gw_explore_check(gw_cpu_load(s->mm, s->at, &sum) == 0);
	gw_explore_check(sum == 42);
	gw_explore_check(s->status == 1 || s->status == -EAGAIN);
}

static const struct gw_explore_scenario scenario = {
	.name = "move-and-add",
	.story = "an addition goes to the page's old frame after its bytes were copied",
	.state_size = sizeof(struct state),
	.setup = setup,
	.tasks = {{.name = "mover", .run = move}, {.name = "adder", .run = add, .cpu = 1}},
	.check = check,
	.teardown = teardown,
};

static void
print_line(void *ctx, const char *line)
{
	(void)ctx;
	puts(line);
}

int
main(void)
{
	const struct gw_explore_options options = {.max_seconds = 10};
	struct gw_explore_result result;
	int err = gw_explore_run(&scenario, &options, &result), found;

	if (err)
		return 2;
	gw_explore_report(&scenario, &result, 80, print_line, NULL);
	found = result.kind != GW_EXPLORE_NOTHING;
	gw_explore_result_free(&result);
	return found;
}
