/* SPDX-License-Identifier: MIT */
/*
 * machine.c - making and unmaking a machine.
 *
 * Idea. One block of memory per table, asked of the machine's surroundings; a machine is either
 * whole or not there. Frames start zeroed, which is the state "reserved" (page.h).
 */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/phys/buddy.h"
#include "engine/phys/topology.h"

_Static_assert(GW_ORDERS_MAX <= GW_HUGETLB_ORDERS && GW_HUGETLB_ORDERS <= 32,
	"an order fits in five bits of a frame's flags, and a pool's is no smaller than others");

void
gw_thp_tunables_init(struct gw_thp_tunables *tunables)
{
	*tunables = (struct gw_thp_tunables){
		.enabled = GW_THP_MADVISE,
		.orders = 1u << GW_HUGE_ORDER,
		.max_ptes_none = (1u << GW_HUGE_ORDER) - 1,
		.shrink_underused = true,
	};
}

void
gw_machine_config_init(struct gw_machine_config *config)
{
	*config = (struct gw_machine_config){
		.n_cpus = 1,
		.max_order = GW_DEFAULT_MAX_ORDER,
		.pageblock_order = GW_DEFAULT_PAGEBLOCK_ORDER,
		.watermark_scale_factor = 10,
		.watermark_boost_factor = 15000,
		.extfrag_threshold = 500,
		.compact_unevictable_allowed = true,
		.compaction_proactiveness = 20,
		.lru_batch = 15,
	};
}

void
gw_bug(struct gw_machine *m, const char *message)
{
	if (!m)
		__builtin_trap();
	m->ops->bug(m->ctx, message);
}

int
gw_refuse(struct gw_error *err, const char *format, ...)
{
	va_list ap;

	if (err) {
		va_start(ap, format);
		vsnprintf(err->text, sizeof(err->text), format, ap);
		va_end(ap);
	}
	return -EINVAL;
}

/* Sums of numbers of frames must fit (gw_zone_watermark_ok(), set_watermarks()). */
static bool
beyond_memory(const struct gw_zone_config *zone)
{
	uint64_t most = zone->wmark_high;

	for (unsigned i = 0; i < sizeof(zone->lowmem_reserve) / sizeof(uint64_t); i++)
		if (zone->lowmem_reserve[i] > most)
			most = zone->lowmem_reserve[i];
	return most > GW_PFN_MAX;
}

static int
check_zones(const struct gw_machine_config *c, struct gw_error *err)
{
	const size_t most = sizeof(c->zones->lowmem_reserve) / sizeof(c->zones->lowmem_reserve[0]);
	unsigned of_node[GW_NODES_MAX] = {0};
	gw_pfn_t end = 0;

	if (!c->zones || c->n_zones == 0 || c->n_zones > GW_ZONES_MAX)
		return gw_refuse(err, "%u zones: must be 1 .. %d", c->n_zones, GW_ZONES_MAX);
	for (unsigned z = 0; z < c->n_zones; z++) {
		const struct gw_zone_config *zone = &c->zones[z];

		if (!zone->name || zone->node >= GW_NODES_MAX)
			return gw_refuse(
				err, "zone %u: no name, or node above %d", z, GW_NODES_MAX - 1);
		if (++of_node[zone->node] > most)
			return gw_refuse(err, "node %u: more than %zu zones", zone->node, most);
		if (zone->start < end || zone->start >= zone->end || zone->end > c->n_frames)
			return gw_refuse(err,
				"zone %s: frames [%u, %u) overlap or leave the map of %u",
				zone->name, zone->start, zone->end, c->n_frames);
		if (zone->wmark_min > zone->wmark_low || zone->wmark_low > zone->wmark_high)
			return gw_refuse(err, "zone %s: watermarks descend", zone->name);
		if (beyond_memory(zone))
			return gw_refuse(err,
				"zone %s: a watermark or reserve of more frames than a machine has",
				zone->name);
		end = zone->end;
	}
	return 0;
}

static int
check_config(const struct gw_machine_config *c, struct gw_error *err)
{
	if (c->n_cpus == 0 || c->n_cpus > GW_CPUS_MAX)
		return gw_refuse(err, "%u CPUs: must be 1 .. %d", c->n_cpus, GW_CPUS_MAX);
	if (c->max_order >= GW_ORDERS_MAX)
		return gw_refuse(
			err, "max_order %u: must be below %d", c->max_order, GW_ORDERS_MAX);
	if (c->pageblock_order == 0 || c->pageblock_order > c->max_order)
		return gw_refuse(err, "pageblock_order %u: must be 1 .. max_order (%u)",
			c->pageblock_order, c->max_order);
	if (c->n_frames == 0 || c->n_frames > GW_PFN_MAX - (1u << GW_ORDERS_MAX))
		return gw_refuse(
			err, "%u frames: none, or more than a machine can number", c->n_frames);
	if (c->extfrag_threshold < 0 || c->extfrag_threshold > 1000)
		return gw_refuse(
			err, "extfrag_threshold %d: must be 0 .. 1000", c->extfrag_threshold);
	if (c->compaction_proactiveness > 100)
		return gw_refuse(err, "compaction_proactiveness %u: must be 0 .. 100",
			c->compaction_proactiveness);
	if (c->lru_batch > sizeof(((struct gw_lru_batch *)0)->pages) / sizeof(gw_pfn_t))
		return gw_refuse(err, "lru_batch %u: must be at most 32", c->lru_batch);
	if (c->min_free_kbytes / (GW_PAGE_SIZE / 1024) > GW_PFN_MAX)
		return gw_refuse(err, "min_free_kbytes %llu: more than a machine has",
			(unsigned long long)c->min_free_kbytes);
	if (check_zones(c, err))
		return -EINVAL;
	return gw_topology_check(c, err);
}

static void *
machine_alloc(struct gw_machine *m, size_t bytes)
{
	return m->ops->alloc(m->ctx, bytes);
}

static void
machine_release(struct gw_machine *m, void *p, size_t bytes)
{
	if (p)
		m->ops->release(m->ctx, p, bytes);
}

static void
init_pcp(struct gw_pcp *pcp, const struct gw_zone_config *config)
{
	gw_spin_init(&pcp->lock, GW_RANK_PCP);
	for (unsigned i = 0; i < GW_PCP_LISTS; i++)
		gw_page_list_init(&pcp->lists[i]);
	pcp->batch = config->pcp_batch;
	pcp->high = config->pcp_high;
}

static int
init_zone(struct gw_machine *m, unsigned id, const struct gw_zone_config *config)
{
	struct gw_zone *zone = &m->zones[id];
	size_t name_len = strnlen(config->name, sizeof(zone->name) - 1);

	zone->machine = m;
	memcpy(zone->name, config->name, name_len);
	zone->id = id;
	zone->node = config->node;
	zone->start = config->start;
	zone->end = config->end;
	memcpy(zone->lowmem_reserve, config->lowmem_reserve, sizeof(zone->lowmem_reserve));
	gw_u64_store_relaxed(&zone->wmark[GW_WMARK_MIN], config->wmark_min);
	gw_u64_store_relaxed(&zone->wmark[GW_WMARK_LOW], config->wmark_low);
	gw_u64_store_relaxed(&zone->wmark[GW_WMARK_HIGH], config->wmark_high);
	zone->wmarks_given = config->wmark_high != 0;
	gw_spin_init(&zone->lock, GW_RANK_ZONE);
	for (unsigned o = 0; o < GW_ORDERS_MAX; o++)
		for (unsigned t = 0; t < GW_MT_NR; t++)
			gw_page_list_init(&zone->free_area[o].lists[t]);
	zone->compact.order_failed = (int)m->config.max_order + 1;
	zone->compact.migrate_pfn[0] = zone->compact.migrate_pfn[1] = zone->start;
	zone->compact.init_migrate_pfn = zone->compact.evacuate_pfn = zone->start;
	zone->compact.free_pfn = zone->compact.init_free_pfn = gw_pageblock_start(m, zone->end - 1);
	zone->pcp = machine_alloc(m, m->config.n_cpus * sizeof(*zone->pcp));
	if (!zone->pcp)
		return -ENOMEM;
	for (unsigned cpu = 0; cpu < m->config.n_cpus; cpu++)
		init_pcp(&zone->pcp[cpu], config);
	return 0;
}

/* Every pageblock starts MOVABLE, counted in the zone of its first frame that is in one. */
static void
init_pageblocks(struct gw_machine *m)
{
	gw_pfn_t counted = 0; /* pageblocks below it belong to an earlier zone */

	for (gw_pfn_t b = 0; b < m->n_pageblocks; b++)
		gw_u8_store_relaxed(&m->pageblocks[b], GW_MT_MOVABLE);
	for (unsigned z = 0; z < m->n_zones; z++) {
		struct gw_zone *zone = &m->zones[z];
		gw_pfn_t first = zone->start >> m->config.pageblock_order;
		gw_pfn_t end = ((zone->end - 1) >> m->config.pageblock_order) + 1;

		if (first < counted)
			first = counted;
		zone->pageblocks[GW_MT_MOVABLE] = end - first;
		counted = end;
	}
}

static void
init_node(struct gw_machine *m, unsigned id)
{
	struct gw_node *node = &m->nodes[id];
	unsigned class = 0;

	gw_spin_init(&node->lru_lock, GW_RANK_LRU);
	gw_spin_init(&node->deferred_lock, GW_RANK_LEAF);
	gw_page_list_init(&node->deferred);
	for (unsigned l = 0; l < GW_LRU_NR; l++)
		gw_page_list_init(&node->lru[l]);
	for (unsigned z = 0; z < m->n_zones; z++)
		if (m->zones[z].node == id)
			m->zones[z].class = class ++;
}

static int
init_tables(struct gw_machine *m, const struct gw_machine_config *config)
{
	m->pages = machine_alloc(m, (size_t)m->n_frames * sizeof(*m->pages));
	m->pageblocks = machine_alloc(m, m->n_pageblocks * sizeof(*m->pageblocks));
	m->zones = machine_alloc(m, m->n_zones * sizeof(*m->zones));
	m->nodes = machine_alloc(m, m->n_nodes * sizeof(*m->nodes));
	m->cpu_nodes = machine_alloc(m, m->config.n_cpus * sizeof(*m->cpu_nodes));
	m->lru_batches = machine_alloc(m, m->config.n_cpus * sizeof(*m->lru_batches));
	if (!m->pages || !m->pageblocks || !m->zones || !m->nodes || !m->cpu_nodes ||
		!m->lru_batches)
		return -ENOMEM;
	for (unsigned z = 0; z < m->n_zones; z++)
		if (init_zone(m, z, &config->zones[z]))
			return -ENOMEM;
	for (unsigned n = 0; n < m->n_nodes; n++)
		init_node(m, n);
	gw_topology_init(m, config);
	for (unsigned cpu = 0; cpu < m->config.n_cpus; cpu++)
		gw_spin_init(&m->lru_batches[cpu].lock, GW_RANK_LRU_BATCH);
	init_pageblocks(m);
	if (gw_waitq_table_init(&m->page_waits, 8, m->ops->alloc, m->ctx))
		return -ENOMEM;
	return gw_percpu_init(&m->events, GW_VM_NR, m->config.n_cpus, m->ops->alloc, m->ctx);
}

int
gw_machine_create(const struct gw_machine_config *config, const struct gw_machine_ops *ops,
	void *ctx, struct gw_machine **out, struct gw_error *err)
{
	struct gw_machine *m;
	int ret = check_config(config, err);

	if (ret)
		return ret;
	m = ops->alloc(ctx, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->ops = ops;
	m->ctx = ctx;
	gw_u32_store_relaxed(&m->zero_page, GW_PFN_NONE);
	gw_thp_tunables_init(&m->thp);
	gw_spin_init(&m->memcg_lock, GW_RANK_LEAF);
	gw_spin_init(&m->hugetlb_lock, GW_RANK_LEAF);
	m->config = *config;
	m->config.zones = NULL;
	m->config.distances = NULL;
	m->config.adistances = m->config.cpu_nodes = NULL;
	m->wait_era = GW_ERA_NONE;
	gw_u32_store_relaxed(&m->proactiveness, config->compaction_proactiveness);
	m->n_frames = config->n_frames;
	m->n_pageblocks = ((config->n_frames - 1) >> config->pageblock_order) + 1;
	m->n_zones = config->n_zones;
	m->n_nodes = gw_config_nodes(config);
	ret = init_tables(m, config);
	if (ret) {
		gw_phys_destroy(m);
		return ret;
	}
	*out = m;
	return 0;
}

void
gw_phys_destroy(struct gw_machine *m)
{
	gw_page_extra_release(m);
	gw_percpu_destroy(&m->events, m->ops->release, m->ctx);
	gw_waitq_table_destroy(&m->page_waits, m->ops->release, m->ctx);
	for (unsigned z = 0; m->zones && z < m->n_zones; z++)
		machine_release(m, m->zones[z].pcp, m->config.n_cpus * sizeof(struct gw_pcp));
	machine_release(m, m->lru_batches, m->config.n_cpus * sizeof(*m->lru_batches));
	machine_release(m, m->cpu_nodes, m->config.n_cpus * sizeof(*m->cpu_nodes));
	machine_release(m, m->nodes, m->n_nodes * sizeof(*m->nodes));
	machine_release(m, m->zones, m->n_zones * sizeof(*m->zones));
	machine_release(m, m->pageblocks, m->n_pageblocks * sizeof(*m->pageblocks));
	machine_release(m, m->pages, (size_t)m->n_frames * sizeof(*m->pages));
	m->ops->release(m->ctx, m, sizeof(*m));
}

void *
gw_machine_ctx(const struct gw_machine *m)
{
	return m->ctx;
}

int
gw_task_attach(struct gw_task *task, struct gw_machine *machine, unsigned cpu)
{
	if (cpu >= machine->config.n_cpus)
		return -EINVAL;
	gw_task_enter(task, machine, cpu);
	return 0;
}

void
gw_task_detach(struct gw_task *task)
{
	gw_task_leave(task);
}

const char *
gw_vm_event_name(enum gw_vm_event event)
{
	static const char *const names[] = {
#define EVENT_NAME(id, name) [GW_VM_##id] = name,
		GW_VM_EVENTS(EVENT_NAME)
#undef EVENT_NAME
	};

	return names[event];
}

uint64_t
gw_machine_count(const struct gw_machine *m, enum gw_vm_event event)
{
	uint64_t n = (uint64_t)gw_percpu_sum(&m->events, event);

	if (event != GW_VM_PGALLOC && event != GW_VM_PGFREE)
		return n;
	/* The per-CPU lists count their own pages, under their locks. */
	for (unsigned z = 0; z < m->n_zones; z++) {
		for (unsigned cpu = 0; cpu < m->config.n_cpus; cpu++) {
			struct gw_pcp *pcp = &m->zones[z].pcp[cpu];

			gw_spin_lock(&pcp->lock);
			n += event == GW_VM_PGALLOC ? pcp->allocs : pcp->frees;
			gw_spin_unlock(&pcp->lock);
		}
	}
	return n;
}
