/* SPDX-License-Identifier: MIT */
/* machine_fixture.c - see machine_fixture.h. */
#include "test.h"

#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "machine_fixture.h"
#include "godwit/seed.h"

static void *
fixture_mem_alloc(void *ctx, size_t bytes)
{
	struct fixture *f = ctx;
	void *p = NULL;

	if (gw_u64_add_relaxed(&f->allocations, 1) + 1 == f->fail_at)
		return NULL;
	if (posix_memalign(&p, 4096, bytes))
		return NULL;
	memset(p, 0, bytes);
	gw_u64_add_relaxed(&f->live_bytes, bytes);
	return p;
}

static void
fixture_mem_release(void *ctx, void *p, size_t bytes)
{
	struct fixture *f = ctx;

	gw_u64_sub_relaxed(&f->live_bytes, bytes);
	free(p);
}

static uint64_t
fixture_clock(void *ctx)
{
	struct timespec ts;

	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void
fixture_copy(void *ctx, const struct gw_copy *copies, size_t n)
{
	struct fixture *f = ctx;

	for (size_t i = 0; i < n; i++)
		memcpy(f->bytes[copies[i].dst], f->bytes[copies[i].src],
			(size_t)copies[i].n * FIXTURE_FRAME_BYTES);
}

static void
fixture_flush(void *ctx, const gw_pfn_t *frames, size_t n)
{
	struct fixture *f = ctx;

	(void)frames;
	gw_u64_add_relaxed(&f->flushes, 1);
	gw_u64_add_relaxed(&f->flushed_frames, n);
}

static void *
fixture_frame_address(void *ctx, gw_pfn_t frame)
{
	struct fixture *f = ctx;

	return f->bytes[frame];
}

static void
fixture_flush_range(void *ctx, uint32_t mm_id, uint64_t start, uint64_t end)
{
	struct fixture *f = ctx;

	(void)mm_id;
	(void)start;
	(void)end;
	gw_u64_add_relaxed(&f->flushed_ranges, 1);
}

static void
fixture_bug(void *ctx, const char *message)
{
	(void)ctx;
	fprintf(stderr, "BUG: %s\n", message);
	abort();
}

static const struct gw_machine_ops fixture_ops = {
	.alloc = fixture_mem_alloc,
	.release = fixture_mem_release,
	.clock_ns = fixture_clock,
	.copy_frames = fixture_copy,
	.flush_frames = fixture_flush,
	.frame_address = fixture_frame_address,
	.flush_range = fixture_flush_range,
	.bug = fixture_bug,
};

int
fixture_try_create(struct fixture *f, const struct gw_machine_config *config, struct gw_error *err)
{
	return gw_machine_create(config, &fixture_ops, f, &f->m, err);
}

struct fixture *
fixture_create_config(const struct gw_machine_config *config)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct gw_error err = {""};

	assert_non_null(f);
	f->n_frames = config->n_frames;
	f->bytes = mmap(NULL, (size_t)config->n_frames * sizeof(*f->bytes), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(f->bytes, MAP_FAILED);
	if (fixture_try_create(f, config, &err))
		fail_msg("%s", err.text);
	assert_int_equal(gw_task_attach(&f->task, f->m, 0), 0);
	return f;
}

struct fixture *
fixture_create(gw_pfn_t n_frames, unsigned n_cpus, unsigned pageblock_order)
{
	struct gw_zone_config zone = {.name = "Normal", .end = n_frames};
	struct gw_machine_config config;
	struct fixture *f;

	gw_machine_config_init(&config);
	config.n_cpus = n_cpus;
	config.max_order = pageblock_order + 1;
	config.pageblock_order = pageblock_order;
	config.n_frames = n_frames;
	config.zones = &zone;
	config.n_zones = 1;
	f = fixture_create_config(&config);
	assert_int_equal(gw_seed_free(f->m, 0, n_frames), 0);
	gw_seed_done(f->m);
	fixture_check(f);
	return f;
}

void
fixture_destroy(struct fixture *f)
{
	fixture_check(f);
	gw_task_detach(&f->task);
	gw_machine_destroy(f->m);
	assert_int_equal(gw_u64_load_relaxed(&f->live_bytes), 0);
	munmap(f->bytes, (size_t)f->n_frames * sizeof(*f->bytes));
	free(f);
}

static void
print_finding(void *ctx, const char *line)
{
	(void)ctx;
	print_error("gw_machine_check: %s\n", line);
}

void
fixture_check(struct fixture *f)
{
	assert_int_equal(gw_machine_check(f->m, print_finding, NULL), 0);
}

gw_pfn_t
fixture_alloc(struct fixture *f, unsigned order)
{
	gw_pfn_t pfn = GW_PFN_NONE;

	assert_int_equal(
		gw_alloc_from_zonelist(f->m, GW_GFP_MOVABLE, 0, order, GW_WMARK_MIN, &pfn), 0);
	return pfn;
}

struct gw_zone_info
fixture_zone(struct fixture *f, unsigned zone)
{
	struct gw_zone_info info;

	assert_int_equal(gw_zone_info(f->m, zone, &info), 0);
	return info;
}

uint64_t
fixture_free_frames(struct fixture *f)
{
	struct gw_zone_info info;

	assert_int_equal(gw_zone_info(f->m, 0, &info), 0);
	return info.free + info.pcp;
}
