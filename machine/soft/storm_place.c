/* SPDX-License-Identifier: MIT */
/*
 * storm_place.c - the storm's nodes: policies and moves to where they say, hinting scans, given
 * ranges taken and given back, pageblocks that go and come.
 *
 * Idea. Programs bind pieces of their memory here and there while everybody moves pages about, so
 * where a page is proves nothing; that it says what was written does, and so does a policy read
 * back. Node 2 is slow memory without CPUs: cold pages are demoted to it, hot ones promoted.
 */
#include "godwit/compact.h"
#include "godwit/contig.h"
#include "godwit/numa.h"
#include "godwit/task.h"
#include "machine/soft/storm_internal.h"

#define BLOCK_FRAMES ((gw_pfn_t)1 << GW_DEFAULT_PAGEBLOCK_ORDER)

int
storm_place_open(struct storm *s)
{
	struct gw_numa_tunables numa;

	gw_numa_tunables_init(&numa);
	numa.migrate_on_fault = true;
	numa.demotion = true;
	numa.balancing = GW_BALANCING_NORMAL | GW_BALANCING_TIERING;
	numa.scan_delay_ms = 1;
	numa.scan_period_min_ms = 1;
	numa.scan_period_max_ms = 10;
	numa.scan_size_mb = 4;
	return gw_machine_set_numa(s->m, &numa);
}

/* ---- policies ---- */

static struct gw_policy
any_policy(struct storm_thread *t)
{
	struct gw_policy policy = {.mode = (enum gw_policy_mode)storm_below(t, 7)};

	if (policy.mode != GW_POLICY_DEFAULT && policy.mode != GW_POLICY_LOCAL)
		policy.nodes = 1 + storm_below(t, (1u << STORM_NODES) - 1);
	if ((policy.mode == GW_POLICY_BIND || policy.mode == GW_POLICY_PREFERRED_MANY) &&
		storm_below(t, 2))
		policy.flags = GW_POLICY_NUMA_BALANCING;
	return policy;
}

/* Nobody else changes the range's policy, or its mappings. */
static void
bind(struct storm_thread *t, struct gw_mm *mm, gw_vaddr_t addr, uint64_t len)
{
	struct gw_policy policy = any_policy(t), found = {0};
	unsigned flags = storm_below(t, 8);
	int err = gw_mbind(mm, addr, len, &policy, flags);

	if (err == -ENOMEM)
		storm_no_memory(t);
	else if (err && (err != -EIO || !(flags & GW_MBIND_STRICT)))
		storm_lost(t->s, "address space %u, %#llx: mbind of %llu bytes gave %d",
			gw_mm_id(mm), (unsigned long long)addr, (unsigned long long)len, err);
	if (err)
		return;
	err = gw_get_policy(mm, addr + len - GW_PAGE_SIZE, &found);
	if (err || found.mode != policy.mode || found.nodes != policy.nodes)
		storm_lost(t->s, "address space %u, %#llx: policy %d, then %d (error %d)",
			gw_mm_id(mm), (unsigned long long)addr, policy.mode, found.mode, -err);
}

void
storm_mbind(struct storm_thread *t, struct storm_program *p, struct storm_region *r, unsigned first,
	unsigned end)
{
	bind(t, p->mm, r->base + first * GW_PAGE_SIZE, (end - first) * GW_PAGE_SIZE);
	(void)storm_verify_some(t, p, r);
}

/* A whole mapping of a file, if the program has one. */
void
storm_mbind_file(struct storm_thread *t, struct storm_program *p)
{
	unsigned file = storm_below(t, STORM_FILES);
	gw_vaddr_t addr;

	pthread_rwlock_rdlock(&p->layout);
	pthread_mutex_lock(&t->s->files[file].region.mutex);
	addr = gw_u64_load_relaxed(&p->file_maps[file]);
	if (addr)
		bind(t, p->mm, addr, STORM_PAGES * GW_PAGE_SIZE);
	pthread_mutex_unlock(&t->s->files[file].region.mutex);
	pthread_rwlock_unlock(&p->layout);
}

void
storm_policy(struct storm_thread *t)
{
	struct gw_policy policy = any_policy(t);
	int err = storm_below(t, 4) ? gw_task_set_policy(t->task, &policy)
				    : gw_set_node_weight(t->s->m, storm_below(t, STORM_NODES),
					      1 + storm_below(t, 8));

	if (err)
		storm_lost(t->s, "policy %d of nodes %#llx gave %d", policy.mode,
			(unsigned long long)policy.nodes, err);
}

void
storm_hint(struct storm_program *p)
{
	(void)gw_numa_scan(p->mm);
}

void
storm_kcompactd(struct storm_thread *t)
{
	unsigned node = storm_below(t, STORM_NODES);

	gw_wake_kcompactd(t->s->m, node, 1 + storm_below(t, GW_DEFAULT_PAGEBLOCK_ORDER));
	if (storm_below(t, 2))
		(void)gw_kcompactd_step(t->s->m, node);
	else if (gw_compact_set_proactiveness(t->s->m, storm_below(t, 101)))
		storm_lost(t->s, "proactiveness was refused");
}

/* ---- given ranges ---- */

/* Busy is an excuse if it is said what with. */
static void
not_had(struct storm_thread *t, gw_pfn_t start, gw_pfn_t end, int err,
	const struct gw_obstacle *why)
{
	if (err != -EBUSY || why->why == GW_WHY_NOTHING)
		storm_lost(t->s, "frames [%u, %u) could not be had: %d, %s at %u", start, end, err,
			gw_obstacle_name(why->why), why->pfn);
}

/* Remember a range, and give back what was remembered in its place. */
static void
keep_range(struct storm *s, unsigned slot, struct storm_range range)
{
	struct storm_range old;

	pthread_mutex_lock(&s->table);
	old = s->ranges[slot];
	s->ranges[slot] = range;
	pthread_mutex_unlock(&s->table);
	if (old.n)
		gw_free_contig(s->m, old.start, old.n);
}

static void
allocate_there(struct storm_thread *t, struct storm_range *range)
{
	struct gw_obstacle why = {.why = GW_WHY_NOTHING};
	gw_pfn_t start = storm_below(t, t->s->n_frames - range->n), end = start + range->n;
	unsigned node = storm_node_of(t->s, start);
	int err = gw_alloc_contig(t->s->m, start, end, GW_MT_MOVABLE, &why);

	range->start = start;
	if (err && storm_node_of(t->s, end - 1) == node) /* else it cannot be had */
		not_had(t, start, end, err, &why);
	if (err)
		range->n = 0;
}

static void
allocate_anywhere(struct storm_thread *t, struct storm_range *range)
{
	struct gw_obstacle why = {.why = GW_WHY_NOTHING};
	int err = gw_alloc_contig_pages(t->s->m, range->n, (gw_pfn_t)1 << storm_below(t, 10),
		GW_GFP_MOVABLE, storm_below(t, STORM_NODES), &range->start, &why);

	if (err && err != -ENOMEM)
		storm_lost(t->s, "%u frames in one piece gave %d", range->n, err);
	if (err)
		range->n = 0;
}

void
storm_contig(struct storm_thread *t)
{
	struct storm_range range = {.n = 1 + storm_below(t, storm_below(t, 4) ? 64 : 600)};
	unsigned slot = storm_below(t, STORM_RANGES);

	keep_range(t->s, slot, (struct storm_range){0});
	if (storm_below(t, 2))
		allocate_there(t, &range);
	else
		allocate_anywhere(t, &range);
	gw_u64_add_relaxed(&t->s->contig_frames, range.n);
	keep_range(t->s, slot, range);
}

/* ---- offline, online ---- */

/* Once the storm is to end, nobody makes room any more: who waits for it is interrupted. */
static bool
begin_waiting(struct storm_thread *t)
{
	pthread_mutex_lock(&t->s->table);
	t->waits = !storm_stopped(t->s);
	pthread_mutex_unlock(&t->s->table);
	return t->waits;
}

static void
end_waiting(struct storm_thread *t)
{
	pthread_mutex_lock(&t->s->table);
	t->waits = false;
	gw_task_clear_interrupt(t->task);
	pthread_mutex_unlock(&t->s->table);
}

void
storm_interrupt(struct storm *s, struct storm_thread *threads, unsigned n)
{
	pthread_mutex_lock(&s->table);
	for (unsigned i = 0; i < n; i++)
		if (threads[i].waits)
			gw_task_interrupt(threads[i].task);
	pthread_mutex_unlock(&s->table);
}

static void
take_offline(struct storm_thread *t, struct storm_block *block)
{
	struct gw_obstacle why = {.why = GW_WHY_NOTHING};
	gw_pfn_t start = storm_below(t, t->s->n_frames / BLOCK_FRAMES) * BLOCK_FRAMES;
	struct gw_range_outlook outlook;
	int err = gw_range_look(
		t->s->m, start, start + BLOCK_FRAMES, GW_MT_MOVABLE, NULL, NULL, &outlook);

	if (err)
		storm_lost(t->s, "looking at block %u gave %d", start, err);
	if ((!outlook.possible && storm_below(t, 8)) || !begin_waiting(t))
		return;
	err = gw_offline_pages(t->s->m, start, start + BLOCK_FRAMES, &why);
	end_waiting(t);
	if (err == 0) {
		block->start = start;
		gw_u64_add_relaxed(&t->s->blocks_offline, 1);
	} else if (err != -EINTR && (err != -EINVAL || why.why != GW_WHY_RESERVED)) {
		not_had(t, start, start + BLOCK_FRAMES, err, &why);
	}
}

static void
take_online(struct storm *s, struct storm_block *block)
{
	int err = gw_online_pages(s->m, block->start, block->start + BLOCK_FRAMES);

	if (err)
		storm_lost(s, "block %u: online gave %d", block->start, err);
	block->start = GW_PFN_NONE;
}

void
storm_hotplug(struct storm_thread *t, bool online)
{
	struct storm_block *block = &t->s->offline[storm_below(t, STORM_OFFLINE)];

	if (pthread_mutex_trylock(&block->mutex))
		return;
	if (!online && block->start == GW_PFN_NONE)
		take_offline(t, block);
	else if (online && block->start != GW_PFN_NONE)
		take_online(t->s, block);
	pthread_mutex_unlock(&block->mutex);
}

void
storm_free_ranges(struct storm *s)
{
	for (unsigned i = 0; i < STORM_RANGES; i++)
		keep_range(s, i, (struct storm_range){0});
	for (unsigned i = 0; i < STORM_OFFLINE; i++) {
		struct storm_block *block = &s->offline[i];

		if (pthread_mutex_trylock(&block->mutex))
			continue;
		if (block->start != GW_PFN_NONE)
			take_online(s, block);
		pthread_mutex_unlock(&block->mutex);
	}
}
