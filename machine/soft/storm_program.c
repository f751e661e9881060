/* SPDX-License-Identifier: MIT */
/*
 * storm_program.c - the storm's programs: exec, fork, exit.
 */
#include <stdlib.h>

#include "godwit/memcg.h"
#include "machine/soft/storm_internal.h"

#define STACK_TOP	  ((gw_vaddr_t)1 << 46)
#define STACK_FIRST_PAGES 12

static struct storm_program *
program_alloc(void)
{
	struct storm_program *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	pthread_rwlock_init(&p->layout, NULL);
	p->users = 1; /* the table's, or its maker's */
	for (unsigned i = 0; i < STORM_ALL_REGIONS; i++) {
		if (storm_region_init(
			    &p->regions[i], i >= STORM_HUGE ? STORM_HUGE_PAGES : STORM_PAGES)) {
			while (i-- > 0)
				storm_region_destroy(&p->regions[i]);
			pthread_rwlock_destroy(&p->layout);
			free(p);
			return NULL;
		}
	}
	return p;
}

static void
program_free(struct storm_program *p)
{
	if (p->mm)
		gw_mm_put(p->mm);
	for (unsigned i = 0; i < STORM_ALL_REGIONS; i++)
		storm_region_destroy(&p->regions[i]);
	pthread_rwlock_destroy(&p->layout);
	free(p);
}

/* Into the table; false if it is full. */
static bool
publish(struct storm_thread *t, struct storm_program *p)
{
	struct storm *s = t->s;
	unsigned i;

	pthread_mutex_lock(&s->table);
	for (i = 0; i < STORM_PROGRAMS && s->running[i]; i++)
		;
	if (i < STORM_PROGRAMS)
		s->running[i] = p;
	pthread_mutex_unlock(&s->table);
	if (i < STORM_PROGRAMS)
		gw_u64_add_relaxed(&s->programs, 1);
	return i < STORM_PROGRAMS;
}

struct storm_program *
storm_pick(struct storm_thread *t)
{
	struct storm *s = t->s;
	struct storm_program *p = NULL;
	unsigned from = storm_below(t, STORM_PROGRAMS);

	pthread_mutex_lock(&s->table);
	for (unsigned i = 0; i < STORM_PROGRAMS && !p; i++)
		p = s->running[(from + i) % STORM_PROGRAMS];
	if (p)
		p->users++;
	pthread_mutex_unlock(&s->table);
	return p;
}

/* Nobody adds any more. */
static void
check_counters(struct storm_thread *t, struct storm_program *p)
{
	uint64_t found[STORM_COUNTERS] = {0};

	if (!p->counters || gw_cpu_read(p->mm, p->counters, found, sizeof(found)))
		return; /* no memory even for a zero page's table */
	for (unsigned i = 0; i < STORM_COUNTERS; i++) {
		uint64_t added = gw_u64_load_relaxed(&p->added[i]);

		if (found[i] != added)
			storm_lost(t->s,
				"address space %u: counter %u is %llu after %llu additions",
				gw_mm_id(p->mm), i, (unsigned long long)found[i],
				(unsigned long long)added);
	}
}

void
storm_release(struct storm_thread *t, struct storm_program *p)
{
	bool last;

	pthread_mutex_lock(&t->s->table);
	last = --p->users == 0;
	pthread_mutex_unlock(&t->s->table);
	if (!last)
		return;
	check_counters(t, p);
	for (unsigned i = 0; i < STORM_REGIONS && storm_below(t, 2) && !storm_stopped(t->s); i++)
		(void)storm_verify_some(t, p, &p->regions[i]);
	program_free(p);
}

void
storm_exit(struct storm_thread *t, struct storm_program *p)
{
	struct storm *s = t->s;
	unsigned from = storm_below(t, STORM_PROGRAMS);

	pthread_mutex_lock(&s->table);
	for (unsigned i = 0; i < STORM_PROGRAMS; i++) {
		struct storm_program **slot = &s->running[(from + i) % STORM_PROGRAMS];

		if (*slot && (!p || *slot == p)) {
			p = *slot;
			*slot = NULL;
			break;
		}
	}
	pthread_mutex_unlock(&s->table);
	if (p)
		storm_release(t, p);
}

/* ---- exec ---- */

/* True: done. Else only want of memory is an excuse. */
static bool
succeeded(struct storm_thread *t, const char *what, int err)
{
	if (err && err != -ENOMEM)
		storm_lost(t->s, "%s gave %d", what, err);
	return err == 0;
}

/* The arguments are written to the temporary stack and read back around its move (R7). */
static bool
build_stack(struct storm_thread *t, struct storm_program *p)
{
	struct storm_region *r = &p->regions[STORM_STACK];
	gw_vaddr_t shift = (1 + storm_below(t, 2 * STACK_FIRST_PAGES)) * GW_PAGE_SIZE, addr = 0;

	if (!succeeded(t, "building exec's stack",
		    gw_exec_stack(p->mm, STACK_TOP, STACK_FIRST_PAGES * GW_PAGE_SIZE, &addr)))
		return false;
	r->id = gw_u32_add_relaxed(&t->s->region_ids, 1) + 1;
	r->first = STORM_PAGES - STACK_FIRST_PAGES;
	r->end = STORM_PAGES;
	r->base = addr - r->first * GW_PAGE_SIZE;
	storm_region_forget(r, r->first, r->end);
	for (unsigned i = 0; i < 4; i++)
		if (!storm_write(t, p, r) || !storm_verify_some(t, p, r))
			return false;
	if (!succeeded(t, "moving exec's stack", gw_exec_shift(p->mm, addr, shift)))
		return false;
	r->base -= shift;
	storm_expect_fault(t, p, STACK_TOP - GW_PAGE_SIZE, GW_ACCESS_READ);
	return storm_verify(t, p, r, r->first, r->end);
}

static bool
map(struct storm_thread *t, struct storm_program *p, gw_vaddr_t hint, unsigned pages,
	gw_vaddr_t *addr)
{
	return succeeded(t, "mmap",
		gw_mmap(p->mm, hint, pages * GW_PAGE_SIZE, GW_PROT_READ | GW_PROT_WRITE, 0, addr));
}

/* What merges is small. */
static bool
advise_same(struct storm_thread *t, struct storm_program *p, gw_vaddr_t addr, unsigned pages)
{
	const uint64_t len = pages * GW_PAGE_SIZE;

	return succeeded(t, "madvise", gw_madvise(p->mm, addr, len, GW_MADV_NOHUGEPAGE)) &&
	       succeeded(t, "madvise", gw_madvise(p->mm, addr, len, GW_MADV_MERGEABLE));
}

bool
storm_map_region(struct storm_thread *t, struct storm_program *p, struct storm_region *r)
{
	bool huge = r == &p->regions[STORM_HUGE];
	unsigned pages = 1 + storm_below(t, r->pages);

	if (!map(t, p, huge ? storm_huge_place(t) : 0, pages, &r->base))
		return false;
	if (r == &p->regions[STORM_SAME] && !advise_same(t, p, r->base, pages))
		return false;
	r->end = pages;
	storm_region_forget(r, 0, pages);
	return true;
}

static bool
map_regions(struct storm_thread *t, struct storm_program *p)
{
	for (unsigned i = STORM_STACK + 1; i < STORM_REGIONS; i++) {
		struct storm_region *r = &p->regions[i];

		r->id = i == STORM_SAME ? 0 : gw_u32_add_relaxed(&t->s->region_ids, 1) + 1;
		if (!storm_map_region(t, p, r))
			return false;
	}
	return map(t, p, 0, 1, &p->counters);
}

void
storm_exec(struct storm_thread *t)
{
	struct storm_program *p = program_alloc();
	unsigned group = storm_below(t, 2 * STORM_GROUPS);

	if (!p)
		return;
	if (!succeeded(t, "making an address space", gw_mm_create(t->s->m, &p->mm)))
		p->mm = NULL;
	else if (group < STORM_GROUPS)
		gw_mm_set_memcg(p->mm, t->s->groups[group]);
	p->in_group = group < STORM_GROUPS;
	p->regions[STORM_HUGETLB].id = gw_u32_add_relaxed(&t->s->region_ids, 1) + 1;
	if (!p->mm || !build_stack(t, p) || !map_regions(t, p) || !storm_join(t, p)) {
		storm_no_memory(t);
		program_free(p);
		return;
	}
	if (!publish(t, p))
		storm_release(t, p);
}

/* ---- fork ---- */

/* What the child's words are at least: what the parent's are before. */
static void
before_fork(struct storm_region *child, const struct storm_region *parent, uint32_t *done)
{
	*done = gw_u32_load_acquire(&parent->done);
	child->base = parent->base;
	child->first = parent->first;
	child->end = parent->end;
	child->id = parent->id;
	for (size_t i = parent->first * WORDS_PER_PAGE; i < parent->end * WORDS_PER_PAGE; i++)
		gw_u32_store_relaxed(
			&child->words[i].min, gw_u32_load_relaxed(&parent->words[i].min));
}

/* And what they are at most: if the parent wrote meanwhile, anything up to its newest version. */
static void
after_fork(struct storm_region *child, const struct storm_region *parent, uint32_t done)
{
	uint32_t begun = gw_u32_load_relaxed(&parent->begun);

	for (size_t i = parent->first * WORDS_PER_PAGE; i < parent->end * WORDS_PER_PAGE; i++) {
		uint32_t max = gw_u32_load_relaxed(&parent->words[i].max);

		gw_u32_store_relaxed(&child->words[i].max, begun == done ? max : begun);
	}
	gw_u32_store_relaxed(&child->begun, begun);
	gw_u32_store_relaxed(&child->done, begun);
}

/* A child's counters stand where the parent's were at some moment of the fork. */
static bool
adopt_counters(struct storm_thread *t, struct storm_program *child, const uint64_t *least,
	const struct storm_program *parent)
{
	uint64_t found[STORM_COUNTERS];

	if (gw_cpu_read(child->mm, child->counters, found, sizeof(found)))
		return false;
	for (unsigned i = 0; i < STORM_COUNTERS; i++) {
		uint64_t most = gw_u64_load_relaxed(&parent->added[i]) + GW_CPUS_MAX;

		if (found[i] < least[i] || found[i] > most)
			storm_lost(t->s,
				"address space %u, forked: counter %u is %llu, the parent's was "
				"%llu",
				gw_mm_id(child->mm), i, (unsigned long long)found[i],
				(unsigned long long)least[i]);
		gw_u64_store_relaxed(&child->added[i], found[i]);
	}
	return true;
}

static int
fork_mm(struct storm_program *parent, struct storm_program *child, uint64_t *counters)
{
	uint32_t done[STORM_ALL_REGIONS];
	int err;

	pthread_rwlock_wrlock(&parent->layout);
	for (unsigned i = 0; i < STORM_COUNTERS; i++)
		counters[i] = gw_u64_load_relaxed(&parent->added[i]);
	gw_u32_store_relaxed(&parent->pool_may_fail, 1);
	gw_u32_store_relaxed(&child->pool_may_fail, 1);
	for (unsigned i = 0; i < STORM_ALL_REGIONS; i++)
		before_fork(&child->regions[i], &parent->regions[i], &done[i]);
	for (unsigned i = 0; i < STORM_FILES; i++)
		gw_u64_store_relaxed(
			&child->file_maps[i], gw_u64_load_relaxed(&parent->file_maps[i]));
	gw_fence_seq_cst();
	err = gw_mm_fork(parent->mm, &child->mm);
	gw_fence_seq_cst(); /* a write whose bytes were copied has raised `begun` */
	for (unsigned i = 0; i < STORM_ALL_REGIONS; i++)
		after_fork(&child->regions[i], &parent->regions[i], done[i]);
	pthread_rwlock_unlock(&parent->layout);
	return err;
}

void
storm_fork(struct storm_thread *t, struct storm_program *parent)
{
	struct storm_program *child = program_alloc();
	uint64_t counters[STORM_COUNTERS];

	if (!child)
		return;
	if (!succeeded(t, "fork", fork_mm(parent, child, counters))) {
		child->mm = NULL;
		storm_no_memory(t);
		program_free(child);
		return;
	}
	child->counters = parent->counters;
	child->in_group = parent->in_group;
	if (!adopt_counters(t, child, counters, parent)) {
		storm_no_memory(t);
		program_free(child);
		return;
	}
	if (!publish(t, child))
		storm_release(t, child);
}
