/* SPDX-License-Identifier: MIT */
/*
 * storm.c - running the storm: its threads, its end, its report (storm.h).
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "godwit/alloc.h"
#include "godwit/compact.h"
#include "godwit/memcg.h"
#include "godwit/huge.h"
#include "godwit/numa.h"
#include "godwit/reclaim.h"
#include "godwit/swap.h"
#include "godwit/task.h"
#include "godwit/zone.h"
#include "machine/soft/storm_internal.h"

#define FRAMES_DEFAULT ((gw_pfn_t)1 << 14)
#define FRAMES_LEAST   ((gw_pfn_t)1 << 12)
#define PROGRESS_NS    100000000
#define DAEMONS	       (2 * STORM_NODES)
#define SLOW_DISTANCE  (GW_ADISTANCE_DRAM + 4 * GW_ADISTANCE_CHUNK)
#define WEIGHTS	       340

static const struct {
	const char *name;
	unsigned weight; /* of WEIGHTS */
} ops[GW_STORM_OPS] = {
	[GW_STORM_WRITE] = {"write", 60},
	[GW_STORM_VERIFY] = {"verify", 46},
	[GW_STORM_ADD] = {"add", 20},
	[GW_STORM_FORK] = {"fork", 6},
	[GW_STORM_EXEC] = {"exec", 5},
	[GW_STORM_EXIT] = {"exit", 9},
	[GW_STORM_STACK] = {"stack", 5},
	[GW_STORM_DONTNEED] = {"dontneed", 6},
	[GW_STORM_MPROTECT] = {"mprotect", 6},
	[GW_STORM_MUNMAP] = {"munmap", 4},
	[GW_STORM_MREMAP] = {"mremap", 6},
	[GW_STORM_ADVISE] = {"advise", 4},
	[GW_STORM_COMPACT] = {"compact", 3},
	[GW_STORM_MIGRATE] = {"migrate", 16},
	[GW_STORM_ALLOC] = {"alloc", 4},
	[GW_STORM_FILE] = {"file", 30},
	[GW_STORM_FILE_IO] = {"file-io", 10},
	[GW_STORM_TRUNCATE] = {"truncate", 4},
	[GW_STORM_RECLAIM] = {"reclaim", 4},
	[GW_STORM_MOVE_PAGES] = {"move-pages", 8},
	[GW_STORM_MBIND] = {"mbind", 8},
	[GW_STORM_POLICY] = {"policy", 2},
	[GW_STORM_HINT] = {"hint-scan", 10},
	[GW_STORM_KCOMPACTD] = {"kcompactd", 2},
	[GW_STORM_CONTIG] = {"contig", 4},
	[GW_STORM_OFFLINE] = {"offline", 3},
	[GW_STORM_ONLINE] = {"online", 3},
	[GW_STORM_HUGE] = {"huge", 12},
	[GW_STORM_SPLIT] = {"split", 8},
	[GW_STORM_COLLAPSE] = {"collapse", 8},
	[GW_STORM_BALLOON] = {"balloon", 4},
	[GW_STORM_KSM] = {"ksm", 12},
	[GW_STORM_HUGETLB] = {"hugetlb", 8},
};

const char *
gw_storm_op_name(enum gw_storm_op op)
{
	return ops[op].name;
}

uint64_t
storm_random(struct storm_thread *t)
{
	uint64_t x = t->random += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

unsigned
storm_below(struct storm_thread *t, unsigned n)
{
	return (unsigned)((storm_random(t) >> 32) * n >> 32);
}

void
storm_lost(struct storm *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	pthread_mutex_lock(&s->table);
	if (!s->lost.text[0])
		vsnprintf(s->lost.text, sizeof(s->lost.text), fmt, ap);
	pthread_mutex_unlock(&s->table);
	va_end(ap);
	gw_u32_store_relaxed(&s->stop, 1);
}

void
storm_no_memory(struct storm_thread *t)
{
	gw_u64_add_relaxed(&t->s->no_memory, 1);
	t->short_of_memory = true;
}

static enum gw_storm_op
pick_op(struct storm_thread *t)
{
	unsigned at = storm_below(t, WEIGHTS);
	unsigned op = 0;

	while (at >= ops[op].weight) {
		at -= ops[op].weight;
		op++;
	}
	return (enum gw_storm_op)op;
}

static void
work_on(struct storm_thread *t, struct storm_program *p, enum gw_storm_op op)
{
	struct storm_region *r = &p->regions[storm_below(t, STORM_REGIONS)];

	switch (op) {
	case GW_STORM_WRITE:
	case GW_STORM_VERIFY:
		pthread_mutex_lock(&r->mutex);
		if (op == GW_STORM_WRITE)
			(void)storm_write(t, p, r);
		else
			(void)storm_verify_some(t, p, r);
		pthread_mutex_unlock(&r->mutex);
		return;
	case GW_STORM_ADD:
		(void)storm_add(t, p);
		return;
	case GW_STORM_FORK:
		storm_fork(t, p);
		return;
	case GW_STORM_FILE:
		storm_file(t, p);
		return;
	case GW_STORM_MOVE_PAGES:
		storm_move_pages(t, p);
		return;
	case GW_STORM_HUGE:
		storm_huge(t, p);
		return;
	case GW_STORM_COLLAPSE:
		storm_collapse(t, p);
		return;
	case GW_STORM_HUGETLB:
		storm_hugetlb(t, p);
		return;
	case GW_STORM_KSM:
		storm_ksm(t, p);
		return;
	case GW_STORM_HINT:
		storm_hint(p);
		return;
	case GW_STORM_MBIND:
		if (storm_below(t, 8) == 0) {
			storm_mbind_file(t, p);
			return;
		}
		/* fallthrough */
	default:
		storm_layout(t, p, op);
		return;
	}
}

static void
work(struct storm_thread *t, enum gw_storm_op op)
{
	struct storm_program *p;

	switch (op) {
	case GW_STORM_EXEC:
		storm_exec(t);
		return;
	case GW_STORM_EXIT:
		storm_exit(t, NULL);
		return;
	case GW_STORM_COMPACT:
		storm_compact(t);
		return;
	case GW_STORM_MIGRATE:
		storm_migrate(t);
		return;
	case GW_STORM_ALLOC:
		storm_alloc(t);
		return;
	case GW_STORM_FILE_IO:
		storm_file_io(t);
		return;
	case GW_STORM_TRUNCATE:
		storm_truncate(t);
		return;
	case GW_STORM_RECLAIM:
		storm_reclaim(t);
		return;
	case GW_STORM_POLICY:
		storm_policy(t);
		return;
	case GW_STORM_KCOMPACTD:
		storm_kcompactd(t);
		return;
	case GW_STORM_CONTIG:
		storm_contig(t);
		return;
	case GW_STORM_SPLIT:
		storm_split(t);
		return;
	case GW_STORM_BALLOON:
		storm_balloon(t);
		return;
	case GW_STORM_OFFLINE:
	case GW_STORM_ONLINE:
		storm_hotplug(t, op == GW_STORM_ONLINE);
		return;
	default:
		p = storm_pick(t);
		if (p) {
			work_on(t, p, op);
			storm_release(t, p);
		} else {
			storm_exec(t);
		}
		return;
	}
}

static void
make_room(struct storm *s)
{
	storm_free_blocks(s);
	storm_free_ranges(s);
	storm_deflate(s);
	storm_free_pools(s);
}

static void *
thread_main(void *arg)
{
	struct storm_thread *t = arg;
	struct gw_task task;

	if (gw_task_attach(&task, t->s->m, t->cpu))
		return NULL;
	t->task = &task;
	while (!storm_stopped(t->s)) {
		enum gw_storm_op op = pick_op(t);

		work(t, op);
		gw_u64_add_relaxed(&t->s->ops[op], 1);
		if (t->short_of_memory) {
			t->short_of_memory = false;
			make_room(t->s);
			storm_exit(t, NULL);
		}
	}
	gw_task_detach(&task);
	return NULL;
}

static uint64_t
now_ns(struct storm *s)
{
	return gw_bare_ops.clock_ns(NULL) - s->started;
}

static void
report(struct storm *s, struct gw_storm_report *out)
{
	out->ns = now_ns(s);
	for (unsigned i = 0; i < GW_STORM_OPS; i++)
		out->ops[i] = gw_u64_load_relaxed(&s->ops[i]);
	out->words = gw_u64_load_relaxed(&s->words);
	out->faults_expected = gw_u64_load_relaxed(&s->faults_expected);
	for (unsigned i = 0; i < GW_VM_NR; i++)
		out->events[i] = gw_machine_count(s->m, (enum gw_vm_event)i);
	out->moved = out->events[GW_VM_PGMIGRATE_SUCCESS];
	out->not_moved = out->events[GW_VM_PGMIGRATE_FAIL];
	out->contig_frames = gw_u64_load_relaxed(&s->contig_frames);
	out->most_sharing = gw_u64_load_relaxed(&s->most_sharing);
	out->blocks_offline = gw_u64_load_relaxed(&s->blocks_offline);
	out->programs = gw_u64_load_relaxed(&s->programs);
	out->no_memory = gw_u64_load_relaxed(&s->no_memory);
	out->swapped_out = out->events[GW_VM_PSWPOUT];
	out->swapped_in = out->events[GW_VM_PSWPIN];
	out->reclaimed = 0;
	for (unsigned i = GW_VM_PGSTEAL_KSWAPD; i <= GW_VM_PGSTEAL_PROACTIVE; i++)
		out->reclaimed += out->events[i];
	out->hits = out->misses = out->faults = 0;
	for (unsigned i = 0; i < s->n_threads; i++) {
		struct gw_cpu_stats stats;

		gw_cpu_stats(s->soft, i, &stats);
		out->hits += stats.hits;
		out->misses += stats.misses;
		out->faults += stats.faults;
		out->shootdowns = stats.flushes;
	}
}

static void
watch(struct storm *s, const struct gw_storm_config *config, struct gw_storm_report *out)
{
	const struct timespec pause = {.tv_nsec = PROGRESS_NS};

	while (!storm_stopped(s) && now_ns(s) < config->ns) {
		nanosleep(&pause, NULL);
		gw_kcompactd_tick(s->m);
		if (!config->progress)
			continue;
		report(s, out);
		if (!config->progress(config->ctx, out))
			break;
	}
	gw_u32_store_relaxed(&s->stop, 1);
}

/* ---- the end ---- */

static void
note_finding(void *ctx, const char *line)
{
	storm_lost(ctx, "%s", line);
}

static void
end_program(struct storm_thread *t, struct storm_program *p, struct gw_storm_report *out)
{
	for (unsigned i = 0; i < STORM_ALL_REGIONS && !t->s->lost.text[0]; i++) {
		struct storm_region *r = &p->regions[i];

		(void)storm_verify(t, p, r, r->first, r->end);
	}
	out->tlb_findings += gw_soft_check(t->s->soft, p->mm, note_finding, t->s);
	storm_exit(t, p);
}

static uint64_t
free_frames(struct storm *s)
{
	struct gw_zone_info zone;
	uint64_t n = 0;

	for (unsigned i = 0; i < STORM_NODES; i++)
		if (!gw_zone_info(s->m, i, &zone))
			n += zone.free + zone.pcp;
	return n;
}

/* Files, swap of as many pages as there are frames, and control groups: two of little, one of much.
 */
static int
open_stores(struct storm *s)
{
	void *ctx;
	int err = storm_files_open(s);

	for (unsigned i = 0; i < STORM_GROUPS && !err; i++)
		err = gw_memcg_create(s->m, s->n_frames >> (5 - 2 * i), &s->groups[i]);
	if (!err)
		err = gw_soft_ram_backing(s->n_frames, &ctx);
	if (err)
		return err;
	err = gw_swap_on(s->m, &gw_soft_ram_ops, ctx, s->n_frames);
	if (err)
		gw_soft_ram_ops.release(ctx);
	return err;
}

/* No program is left. */
static void
close_stores(struct storm *s)
{
	struct gw_swap_info swap;
	int err;

	storm_special_close(s);
	storm_free_pools(s);
	storm_files_close(s);
	gw_lru_add_drain_all(s->m);
	gw_swap_info(s->m, &swap);
	err = swap.slots ? gw_swap_off(s->m) : 0;
	if (err || swap.used)
		storm_lost(s, "%u swap slots are still used", swap.used);
	for (unsigned i = 0; i < STORM_GROUPS && s->groups[i]; i++) {
		uint64_t usage = gw_memcg_usage(s->groups[i]);

		if (usage)
			storm_lost(s, "group %u is charged with %llu frames", i,
				(unsigned long long)usage);
		gw_memcg_put(s->groups[i]);
	}
}

/* The first address space makes the machine's zero page, which stays. */
static int
begin(struct storm *s, struct gw_storm_report *out)
{
	struct gw_mm *mm;
	int err = gw_mm_create(s->m, &mm);

	if (err)
		return err;
	gw_mm_put(mm);
	out->frames = free_frames(s);
	err = storm_place_open(s);
	if (!err)
		err = storm_huge_open(s);
	if (!err)
		err = storm_special_open(s);
	return err ? err : open_stores(s);
}

/* One thread is left, as CPU 0. */
static void
end(struct storm_thread *t, struct gw_storm_report *out)
{
	struct storm *s = t->s;

	make_room(s); /* the last look may need memory */
	for (unsigned i = 0; i < STORM_PROGRAMS; i++)
		if (s->running[i])
			end_program(t, s->running[i], out);
	if (!s->lost.text[0])
		storm_files_verify(t);
	close_stores(s);
	gw_lru_add_drain_all(s->m);
	gw_drain_all_pages(s->m);
	gw_rcu_barrier();
	out->machine_findings = gw_machine_check(s->m, note_finding, s);
	out->frames_free = free_frames(s);
	if (out->frames_free != out->frames)
		storm_lost(s, "%llu of %llu frames were not given back",
			(unsigned long long)(out->frames - out->frames_free),
			(unsigned long long)out->frames);
}

/* Background reclaim or compaction of a node. */
struct daemon {
	struct storm *s;
	unsigned node;
	void (*work)(struct gw_machine *m, unsigned node);
	void (*stop)(struct gw_machine *m, unsigned node);
	bool started;
	pthread_t thread;
};

static void *
daemon_main(void *arg)
{
	const struct daemon *d = arg;
	struct gw_task task;

	if (gw_task_attach(&task, d->s->m, d->s->n_threads))
		return NULL;
	d->work(d->s->m, d->node);
	gw_task_detach(&task);
	return NULL;
}

static int
start_daemons(struct storm *s, struct daemon *daemons)
{
	int err = 0;

	for (unsigned i = 0; i < DAEMONS && !err; i++) {
		struct daemon *d = &daemons[i];

		*d = (struct daemon){
			.s = s, .node = i / 2, .work = gw_kswapd, .stop = gw_kswapd_stop};
		if (i % 2) {
			d->work = gw_kcompactd;
			d->stop = gw_kcompactd_stop;
		}
		err = pthread_create(&d->thread, NULL, daemon_main, d);
		d->started = !err;
	}
	return err ? -ENOMEM : 0;
}

static void
stop_daemons(struct daemon *daemons)
{
	for (unsigned i = 0; i < DAEMONS; i++) {
		struct daemon *d = &daemons[i];

		if (!d->started)
			continue;
		d->stop(d->s->m, d->node);
		pthread_join(d->thread, NULL);
	}
}

static int
run_threads(struct storm *s, const struct gw_storm_config *config, struct storm_thread *threads,
	struct gw_storm_report *out)
{
	unsigned started = 0;

	for (unsigned i = 0; i < config->threads; i++) {
		struct storm_thread *t = &threads[i];

		*t = (struct storm_thread){.s = s, .cpu = i, .random = config->seed + i};
		t->random = storm_random(t);
		if (pthread_create(&t->thread, NULL, thread_main, t))
			break;
		started++;
	}
	if (started == config->threads)
		watch(s, config, out);
	gw_u32_store_relaxed(&s->stop, 1);
	storm_interrupt(s, threads, started);
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i].thread, NULL);
	return started == config->threads ? 0 : -ENOMEM;
}

gw_pfn_t
storm_node_start(const struct storm *s, unsigned node)
{
	gw_pfn_t size = s->n_frames / STORM_NODES;

	if (node == STORM_NODES)
		return s->n_frames;
	return node * (size & ~(((gw_pfn_t)1 << GW_DEFAULT_PAGEBLOCK_ORDER) - 1));
}

unsigned
storm_node_of(const struct storm *s, gw_pfn_t pfn)
{
	unsigned node = 0;

	while (pfn >= storm_node_start(s, node + 1))
		node++;
	return node;
}

/* The first two nodes have all CPUs. */
static int
open_machine(struct storm *s, const struct gw_storm_config *config, struct gw_error *err)
{
	static const unsigned adistances[STORM_NODES] = {
		GW_ADISTANCE_DRAM, GW_ADISTANCE_DRAM, SLOW_DISTANCE};
	struct gw_zone_config zones[STORM_NODES];
	unsigned cpu_nodes[GW_CPUS_MAX];
	struct gw_machine_config mc;
	struct gw_thp_tunables thp;
	int ret;

	for (unsigned i = 0; i < STORM_NODES; i++)
		zones[i] = (struct gw_zone_config){.name = "Normal",
			.node = i,
			.start = storm_node_start(s, i),
			.end = storm_node_start(s, i + 1)};
	for (unsigned i = 0; i < GW_CPUS_MAX; i++)
		cpu_nodes[i] = i % (STORM_NODES - 1);
	gw_machine_config_init(&mc);
	mc.n_cpus = config->threads + 1; /* the last for daemons */
	mc.cpu_nodes = cpu_nodes;
	mc.adistances = adistances;
	mc.n_frames = s->n_frames;
	mc.zones = zones;
	mc.n_zones = STORM_NODES;
	mc.min_free_kbytes = s->n_frames / 16;
	ret = gw_soft_create(&mc, &s->soft, err);
	if (ret)
		return ret;
	s->m = gw_soft_machine(s->soft);
	gw_thp_tunables_init(&thp);
	thp.enabled = GW_THP_ALWAYS;
	thp.orders = 0x7c; /* 2 to 6: a region has up to 64 pages */
	return gw_machine_set_thp(s->m, &thp);
}

static int
run(struct storm *s, const struct gw_storm_config *config, struct gw_storm_report *out)
{
	struct storm_thread *threads = calloc(config->threads, sizeof(*threads));
	struct daemon daemons[DAEMONS] = {0};
	struct gw_task task;
	int ret;

	if (!threads)
		return -ENOMEM;
	s->started = gw_bare_ops.clock_ns(NULL);
	ret = gw_task_attach(&task, s->m, 0);
	if (!ret) {
		ret = begin(s, out);
		if (!ret)
			ret = start_daemons(s, daemons);
		if (!ret)
			ret = run_threads(s, config, threads, out);
		stop_daemons(daemons);
		report(s, out);
		if (!ret)
			end(&threads[0], out);
		else
			close_stores(s);
		gw_task_detach(&task);
	}
	out->lost = s->lost;
	free(threads);
	return ret;
}

/* 0, or -EINVAL with a line that says why. */
static int
check_config(const struct gw_storm_config *config, gw_pfn_t n_frames, struct gw_error *err)
{
	const unsigned most = GW_CPUS_MAX - 1;
	struct gw_error unused;

	if (!err)
		err = &unused;
	if (n_frames < FRAMES_LEAST)
		snprintf(err->text, sizeof(err->text), "%u frames: a storm needs %u", n_frames,
			FRAMES_LEAST);
	else if (config->threads < 1 || config->threads > most)
		snprintf(err->text, sizeof(err->text), "%u threads: a storm has 1 to %u",
			config->threads, most);
	else
		return 0;
	return -EINVAL;
}

int
gw_storm_run(
	const struct gw_storm_config *config, struct gw_storm_report *out, struct gw_error *err)
{
	struct storm *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return -ENOMEM;
	*out = (struct gw_storm_report){0};
	s->n_threads = config->threads;
	s->n_frames = config->n_frames ? config->n_frames : FRAMES_DEFAULT;
	for (unsigned i = 0; i < STORM_BLOCKS; i++)
		s->blocks[i] = GW_PFN_NONE;
	for (unsigned i = 0; i < STORM_OFFLINE; i++) {
		s->offline[i].start = GW_PFN_NONE;
		pthread_mutex_init(&s->offline[i].mutex, NULL);
	}
	s->pool_page = GW_PFN_NONE;
	pthread_mutex_init(&s->table, NULL);
	ret = check_config(config, s->n_frames, err);
	if (!ret)
		ret = open_machine(s, config, err);
	if (!ret) {
		ret = run(s, config, out);
		gw_soft_destroy(s->soft);
	}
	pthread_mutex_destroy(&s->table);
	for (unsigned i = 0; i < STORM_OFFLINE; i++)
		pthread_mutex_destroy(&s->offline[i].mutex);
	free(s);
	return ret;
}
