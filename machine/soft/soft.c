/* SPDX-License-Identifier: MIT */
/*
 * soft.c - making a soft machine; its frames' bytes.
 *
 * Idea. The frames are one anonymous mapping that the host fills in as it is touched. Memory for
 * the engine itself and the clock are the bare machine's.
 */
#include <sys/mman.h>

#include "godwit/seed.h"
#include "machine/soft/soft_internal.h"

static void *
soft_alloc(void *ctx, size_t bytes)
{
	struct gw_soft *soft = ctx;
	uint64_t nth = gw_u64_add_relaxed(&soft->allocations, 1) + 1;

	if (nth == gw_u64_load_relaxed(&soft->fail_at))
		return NULL;
	return gw_bare_ops.alloc(NULL, bytes);
}

static void
soft_release(void *ctx, void *p, size_t bytes)
{
	(void)ctx;
	gw_bare_ops.release(NULL, p, bytes);
}

static uint64_t
soft_clock(void *ctx)
{
	(void)ctx;
	return gw_bare_ops.clock_ns(NULL);
}

static void *
soft_frame_address(void *ctx, gw_pfn_t frame)
{
	const struct gw_soft *soft = ctx;

	return soft->bytes + ((size_t)frame << GW_PAGE_SHIFT);
}

static void
soft_bug(void *ctx, const char *message)
{
	(void)ctx;
	gw_bare_ops.bug(NULL, message);
}

static const struct gw_machine_ops soft_ops = {
	.alloc = soft_alloc,
	.release = soft_release,
	.clock_ns = soft_clock,
	.copy_frames = gw_soft_copy_frames,
	.flush_frames = gw_tlb_flush_frames,
	.frame_address = soft_frame_address,
	.flush_range = gw_tlb_flush_range,
	.bug = soft_bug,
};

/* All frames of all zones free. */
static int
seed(struct gw_machine *m, const struct gw_machine_config *config)
{
	struct gw_task task;
	int err = gw_task_attach(&task, m, 0);

	if (err)
		return err;
	for (unsigned z = 0; !err && z < config->n_zones; z++) {
		const struct gw_zone_config *zone = &config->zones[z];

		err = gw_seed_free(m, zone->start, zone->end - zone->start);
	}
	gw_seed_done(m);
	gw_task_detach(&task);
	return err;
}

static size_t
bytes_of_frames(const struct gw_soft *soft)
{
	return (size_t)soft->n_frames << GW_PAGE_SHIFT;
}

static int
get_memory(struct gw_soft *soft)
{
	soft->cpus = gw_bare_ops.alloc(NULL, soft->n_cpus * sizeof(*soft->cpus));
	soft->frames = gw_bare_ops.alloc(NULL, soft->n_frames * sizeof(*soft->frames));
	soft->bytes = mmap(NULL, bytes_of_frames(soft), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (soft->bytes == MAP_FAILED)
		soft->bytes = NULL;
	else /* fewer faults and TLB misses; no matter if refused */
		madvise(soft->bytes, bytes_of_frames(soft), MADV_HUGEPAGE);
	return soft->cpus && soft->frames && soft->bytes ? 0 : -ENOMEM;
}

int
gw_soft_create(const struct gw_machine_config *config, struct gw_soft **out, struct gw_error *err)
{
	struct gw_soft *soft = gw_bare_ops.alloc(NULL, sizeof(*soft));
	int ret;

	if (!soft)
		return -ENOMEM;
	soft->has_membarrier = gw_membarrier_register();
	soft->fences = !soft->has_membarrier;
	ret = gw_machine_create(config, &soft_ops, soft, &soft->machine, err);
	if (ret)
		goto fail;
	soft->n_frames = config->n_frames;
	soft->n_cpus = config->n_cpus;
	ret = get_memory(soft);
	if (!ret)
		ret = seed(soft->machine, config);
	if (ret)
		goto fail;
	*out = soft;
	return 0;

fail:
	gw_soft_destroy(soft);
	return ret;
}

void
gw_soft_destroy(struct gw_soft *soft)
{
	if (!soft)
		return;
	gw_machine_destroy(soft->machine);
	if (soft->bytes)
		munmap(soft->bytes, bytes_of_frames(soft));
	if (soft->frames)
		gw_bare_ops.release(NULL, soft->frames, soft->n_frames * sizeof(*soft->frames));
	if (soft->cpus)
		gw_bare_ops.release(NULL, soft->cpus, soft->n_cpus * sizeof(*soft->cpus));
	gw_bare_ops.release(NULL, soft, sizeof(*soft));
}

struct gw_machine *
gw_soft_machine(struct gw_soft *soft)
{
	return soft->machine;
}

int
gw_soft_set_order(struct gw_soft *soft, enum gw_soft_order order)
{
	if (order == GW_SOFT_MEMBARRIER && !soft->has_membarrier)
		return -ENOSYS;
	soft->fences = order == GW_SOFT_FENCES;
	return 0;
}

enum gw_soft_order
gw_soft_get_order(const struct gw_soft *soft)
{
	return soft->fences ? GW_SOFT_FENCES : GW_SOFT_MEMBARRIER;
}

uint64_t
gw_soft_fail_alloc(struct gw_soft *soft, uint64_t nth)
{
	uint64_t made = gw_u64_load_relaxed(&soft->allocations);

	gw_u64_store_relaxed(&soft->allocations, 0);
	gw_u64_store_relaxed(&soft->fail_at, nth);
	return made;
}
