/* SPDX-License-Identifier: MIT */
/*
 * machine.c - the machine of a scenario: frames with bytes, CPUs with small TLBs.
 *
 * Idea. As the soft machine, with less to explore: a CPU's access is one step (look into the TLB,
 * walk and fill if it must, touch the bytes), so a flush is a step for each CPU and waits for
 * nobody. Structures and TLBs lie in the arena and are reset with it; of the frames' bytes those
 * that a run has touched are.
 *
 * Not seen: what happens to page tables in the midst of a walk.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/sync/bytes.h"
#include "engine/virt/virt.h"
#include "explore/explore_internal.h"
#include "godwit/seed.h"
#include "godwit/soft.h"

#define SLOTS 8

struct slot {
	struct gw_mm *mm; /* NULL: empty */
	uint32_t mm_id;
	gw_pfn_t pfn;
	gw_vaddr_t page;
	bool writable;
};

struct cpu {
	struct slot slots[SLOTS];
	unsigned next; /* to be filled */
};

struct gw_x_machine {
	struct gw_machine *machine;
	gw_pfn_t n_frames;
	unsigned n_cpus;
	struct cpu *cpus; /* in the arena */
	uint8_t *bytes, *image;
	bool *is_dirty; /* frames that may differ from the image */
	gw_pfn_t *dirty;
	gw_pfn_t n_dirty;
};

struct gw_machine *
gw_x_machine_of(const struct gw_explorer *x)
{
	return x->machine ? x->machine->machine : NULL;
}

/* ---- the machine's operations ---- */

static void
mark_dirty(struct gw_x_machine *xm, gw_pfn_t frame)
{
	if (xm->is_dirty[frame])
		return;
	xm->is_dirty[frame] = true;
	xm->dirty[xm->n_dirty++] = frame;
}

/* Who asks may be about to clear it; words of page tables are told by accesses. */
static void *
frame_address(void *ctx, gw_pfn_t frame)
{
	struct gw_x_machine *xm = ctx;

	mark_dirty(xm, frame);
	return xm->bytes + ((size_t)frame << GW_PAGE_SHIFT);
}

static void *
machine_alloc(void *ctx, size_t bytes)
{
	(void)ctx;
	return gw_explore_alloc(bytes);
}

static void
machine_release(void *ctx, void *p, size_t bytes)
{
	(void)ctx;
	(void)bytes;
	gw_explore_free(p);
}

/* Time stands still: it would be another way for tasks to learn of each other. */
static uint64_t
machine_clock(void *ctx)
{
	(void)ctx;
	return 1000000000u;
}

static void
machine_bug(void *ctx, const char *message)
{
	(void)ctx;
	gw_x_found(gw_x_now(), GW_EXPLORE_BUG, "%s", message);
}

static void
copy_frames(void *ctx, const struct gw_copy *copies, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t bytes = (size_t)copies[i].n << GW_PAGE_SHIFT;
		uint8_t *src = frame_address(ctx, copies[i].src);
		uint8_t *dst = frame_address(ctx, copies[i].dst);

		gw_sched_point("copy", src, __func__, __LINE__);
		for (size_t at = 0; at < bytes; at += GW_PAGE_SIZE) {
			gw_sched_access(src + at, GW_PAGE_SIZE, GW_SEES);
			gw_sched_access(dst + at, GW_PAGE_SIZE, GW_CHANGES);
		}
		memcpy(dst, src, bytes);
		GW_SCHED_DETAIL("frame %u to %u", copies[i].src, copies[i].dst);
	}
}

/* Is it a translation to one of these pages? */
static bool
in_pages(const struct gw_machine *m, const struct slot *slot, const gw_pfn_t *frames, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (gw_x_head(m, slot->pfn) == frames[i])
			return true;
	return false;
}

static void
emptied(struct cpu *cpu, unsigned n)
{
	gw_sched_access(cpu, sizeof(cpu->next), n ? GW_CHANGES : GW_SEES);
	GW_SCHED_DETAIL("%u emptied", n);
}

static void
flush_frames(void *ctx, const gw_pfn_t *frames, size_t n)
{
	struct gw_x_machine *xm = ctx;

	for (unsigned c = 0; c < xm->n_cpus; c++) {
		struct cpu *cpu = &xm->cpus[c];
		unsigned gone = 0;

		gw_sched_point("flush", cpu, __func__, __LINE__);
		for (unsigned i = 0; i < SLOTS; i++) {
			struct slot *slot = &cpu->slots[i];

			if (!slot->mm || !in_pages(xm->machine, slot, frames, n))
				continue;
			slot->mm = NULL;
			gone++;
		}
		emptied(cpu, gone);
	}
}

static void
flush_range(void *ctx, uint32_t mm_id, uint64_t start, uint64_t end)
{
	struct gw_x_machine *xm = ctx;

	for (unsigned c = 0; c < xm->n_cpus; c++) {
		struct cpu *cpu = &xm->cpus[c];
		unsigned gone = 0;

		gw_sched_point("flush", cpu, __func__, __LINE__);
		for (unsigned i = 0; i < SLOTS; i++) {
			struct slot *slot = &cpu->slots[i];

			if (!slot->mm || slot->mm_id != mm_id || slot->page < start ||
				slot->page >= end)
				continue;
			slot->mm = NULL;
			gone++;
		}
		emptied(cpu, gone);
	}
}

static const struct gw_machine_ops ops = {
	.alloc = machine_alloc,
	.release = machine_release,
	.clock_ns = machine_clock,
	.copy_frames = copy_frames,
	.flush_frames = flush_frames,
	.frame_address = frame_address,
	.flush_range = flush_range,
	.bug = machine_bug,
};

/* ---- making one ---- */

void
gw_x_machine_destroy(struct gw_explorer *x)
{
	struct gw_x_machine *xm = x->machine;

	if (xm->bytes)
		munmap(xm->bytes, (size_t)xm->n_frames << GW_PAGE_SHIFT);
	free(xm->image);
	free(xm->is_dirty);
	free(xm->dirty);
	free(xm);
	x->machine = NULL;
}

static int
get_memory(struct gw_x_machine *xm)
{
	xm->is_dirty = calloc(xm->n_frames, sizeof(*xm->is_dirty));
	xm->dirty = calloc(xm->n_frames, sizeof(*xm->dirty));
	xm->bytes = mmap(NULL, (size_t)xm->n_frames << GW_PAGE_SHIFT, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (xm->bytes == MAP_FAILED)
		xm->bytes = NULL;
	xm->cpus = gw_explore_alloc(xm->n_cpus * sizeof(*xm->cpus));
	return xm->is_dirty && xm->dirty && xm->bytes && xm->cpus ? 0 : -ENOMEM;
}

static int
seed(struct gw_machine *m, const struct gw_machine_config *config)
{
	int err = 0;

	for (unsigned z = 0; !err && z < config->n_zones; z++) {
		const struct gw_zone_config *zone = &config->zones[z];

		err = gw_seed_free(m, zone->start, zone->end - zone->start);
	}
	gw_seed_done(m);
	return err;
}

int
gw_explore_machine(
	const struct gw_machine_config *config, struct gw_machine **out, struct gw_error *err)
{
	struct gw_explorer *x = gw_x_now();
	struct gw_x_machine *xm;
	int ret;

	if (!x->in_setup || x->machine)
		return -EINVAL;
	xm = calloc(1, sizeof(*xm));
	if (!xm)
		return -ENOMEM;
	x->machine = xm; /* goes with the search from here on */
	xm->n_frames = config->n_frames;
	xm->n_cpus = config->n_cpus;
	ret = get_memory(xm);
	if (!ret)
		ret = gw_machine_create(config, &ops, xm, &xm->machine, err);
	if (ret)
		return ret;
	gw_current()->machine = xm->machine;
	xm->machine->without = gw_x_now()->options->without;
	ret = seed(xm->machine, config);
	if (!ret)
		*out = xm->machine;
	return ret;
}

int
gw_x_machine_keep(struct gw_explorer *x)
{
	struct gw_x_machine *xm = x->machine;
	size_t bytes = (size_t)xm->n_frames << GW_PAGE_SHIFT;

	xm->image = malloc(bytes);
	if (!xm->image)
		return -ENOMEM;
	memcpy(xm->image, xm->bytes, bytes);
	for (gw_pfn_t i = 0; i < xm->n_dirty; i++)
		xm->is_dirty[xm->dirty[i]] = false;
	xm->n_dirty = 0;
	return 0;
}

void
gw_x_machine_reset(struct gw_explorer *x)
{
	struct gw_x_machine *xm = x->machine;

	for (gw_pfn_t i = 0; i < xm->n_dirty; i++) {
		size_t at = (size_t)xm->dirty[i] << GW_PAGE_SHIFT;

		memcpy(xm->bytes + at, xm->image + at, GW_PAGE_SIZE);
		xm->is_dirty[xm->dirty[i]] = false;
	}
	xm->n_dirty = 0;
}

/* ---- looking ---- */

bool
gw_x_machine_access(struct gw_explorer *x, uintptr_t address, bool changes, gw_pfn_t *frame)
{
	struct gw_x_machine *xm = x->machine;
	size_t at = address - (uintptr_t)xm->bytes;
	enum gw_page_type type;

	if (!xm->machine || at >= (size_t)xm->n_frames << GW_PAGE_SHIFT)
		return true;
	*frame = (gw_pfn_t)(at >> GW_PAGE_SHIFT);
	if (changes)
		mark_dirty(xm, *frame);
	type = gw_flags_type(gw_page(xm->machine, *frame)->flags.v);
	return type != GW_PAGE_BUDDY && type != GW_PAGE_FREE && type != GW_PAGE_PCP;
}

bool
gw_x_machine_bytes(const struct gw_explorer *x, uintptr_t address)
{
	const struct gw_x_machine *xm = x->machine;

	return xm && address - (uintptr_t)xm->bytes < (size_t)xm->n_frames << GW_PAGE_SHIFT;
}

struct findings {
	unsigned n;
	char first[GW_MESSAGE_MAX];
};

static void
keep_first(void *ctx, const char *line)
{
	struct findings *f = ctx;

	if (f->n++ == 0)
		snprintf(f->first, sizeof(f->first), "%s", line);
}

/* A translation that a CPU could still use must be what a walk finds. */
static void
check_slot(struct gw_explorer *x, unsigned cpu, const struct slot *slot)
{
	const struct gw_x_block *block = gw_x_arena_block(&x->arena, (uintptr_t)slot->mm);
	gw_pfn_t pfn = GW_PFN_NONE;
	bool writable = false;

	if (block && !block->freed &&
		gw_mm_walk(slot->mm, slot->page, slot->writable ? GW_ACCESS_WRITE : GW_ACCESS_READ,
			&pfn, &writable) == 0 &&
		pfn == slot->pfn)
		return;
	gw_x_found(x, GW_EXPLORE_STALE_TLB,
		"CPU %u may %s address %#llx at frame %u at the end, which its page table does not "
		"say",
		cpu, slot->writable ? "write" : "read", (unsigned long long)slot->page, slot->pfn);
}

void
gw_x_machine_check(struct gw_explorer *x)
{
	struct gw_x_machine *xm = x->machine;
	struct findings f = {0};
	unsigned n = gw_machine_check(xm->machine, keep_first, &f);

	if (n)
		gw_x_found(x, GW_EXPLORE_MACHINE, "gw_machine_check(): %s", f.first);
	for (unsigned c = 0; c < xm->n_cpus; c++)
		for (unsigned i = 0; i < SLOTS; i++)
			if (xm->cpus[c].slots[i].mm)
				check_slot(x, c, &xm->cpus[c].slots[i]);
}

/* ---- naming ---- */

static const char *
page_field(size_t at)
{
	switch (at) {
	case offsetof(struct gw_page, flags):
		return "flags";
	case offsetof(struct gw_page, refcount):
		return "refcount";
	case offsetof(struct gw_page, mapcount):
		return "mapcount";
	case offsetof(struct gw_page, index):
		return "index";
	case offsetof(struct gw_page, owner):
		return "owner";
	default:
		return "links";
	}
}

static bool
name_of_page(const struct gw_machine *m, uintptr_t address, char *out, size_t size)
{
	size_t at = address - (uintptr_t)m->pages;

	if (at >= m->n_frames * sizeof(*m->pages))
		return false;
	snprintf(out, size, "frame %zu %s", at / sizeof(*m->pages),
		page_field(at % sizeof(*m->pages)));
	return true;
}

static bool
name_of_zone(const struct gw_machine *m, uintptr_t address, char *out, size_t size)
{
	for (unsigned z = 0; z < m->n_zones; z++) {
		struct gw_zone *zone = &m->zones[z];

		if (address == (uintptr_t)&zone->lock) {
			snprintf(out, size, "zone %s lock", zone->name);
			return true;
		}
		for (unsigned c = 0; c < m->config.n_cpus; c++) {
			if (address != (uintptr_t)&zone->pcp[c].lock)
				continue;
			snprintf(out, size, "zone %s pcp lock of CPU %u", zone->name, c);
			return true;
		}
	}
	return false;
}

static bool
name_of_lru(const struct gw_machine *m, uintptr_t address, char *out, size_t size)
{
	for (unsigned n = 0; n < m->n_nodes; n++) {
		if (address == (uintptr_t)&m->nodes[n].lru_lock) {
			snprintf(out, size, "LRU lock of node %u", n);
			return true;
		}
	}
	for (unsigned c = 0; c < m->config.n_cpus; c++) {
		if (address == (uintptr_t)&m->lru_batches[c].lock) {
			snprintf(out, size, "LRU batch lock of CPU %u", c);
			return true;
		}
	}
	return false;
}

void
gw_x_machine_name(const struct gw_explorer *x, uintptr_t address, char *out, size_t size)
{
	const struct gw_x_machine *xm = x->machine;
	size_t at;

	if (!xm || !xm->machine)
		return;
	at = address - (uintptr_t)xm->cpus;
	if (at < xm->n_cpus * sizeof(*xm->cpus)) {
		snprintf(out, size, "TLB of CPU %zu", at / sizeof(*xm->cpus));
		return;
	}
	if (name_of_page(xm->machine, address, out, size) ||
		name_of_zone(xm->machine, address, out, size) ||
		name_of_lru(xm->machine, address, out, size))
		return;
	at = address - (uintptr_t)xm->bytes;
	if (at < (size_t)xm->n_frames << GW_PAGE_SHIFT)
		snprintf(out, size, "frame %zu word %zu", at >> GW_PAGE_SHIFT,
			at % GW_PAGE_SIZE / sizeof(uint64_t));
}

/* ---- what programs do ---- */

/* The CPU's translation, or NULL. */
static struct slot *
lookup(struct cpu *cpu, const struct gw_mm *mm, gw_vaddr_t page, enum gw_access access)
{
	gw_sched_access(cpu, sizeof(cpu->next), GW_SEES);
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *slot = &cpu->slots[i];

		if (slot->mm == mm && slot->page == page &&
			(slot->writable || access == GW_ACCESS_READ))
			return slot;
	}
	return NULL;
}

static struct slot *
fill(struct cpu *cpu, struct gw_mm *mm, gw_vaddr_t page, gw_pfn_t pfn, bool writable)
{
	struct slot *slot = NULL;

	gw_sched_access(cpu, sizeof(cpu->next), GW_CHANGES);
	for (unsigned i = 0; i < SLOTS && !slot; i++)
		if (cpu->slots[i].mm == mm && cpu->slots[i].page == page)
			slot = &cpu->slots[i];
	if (!slot)
		slot = &cpu->slots[cpu->next++ % SLOTS];
	*slot = (struct slot){
		.mm = mm, .mm_id = mm->id, .pfn = pfn, .page = page, .writable = writable};
	return slot;
}

/* Look, and walk if need be. NULL: a fault is due. */
static struct slot *
translate(struct cpu *cpu, struct gw_mm *mm, gw_vaddr_t page, enum gw_access access)
{
	struct slot *slot = lookup(cpu, mm, page, access);
	bool writable = false;
	gw_pfn_t pfn;

	if (!slot && gw_mm_walk(mm, page, access, &pfn, &writable) == 0)
		slot = fill(cpu, mm, page, pfn, writable);
	return slot;
}

/* One step: *bytes is where the address is now, or NULL. Nobody else runs until the next step. */
static void
reach(struct gw_mm *mm, gw_vaddr_t addr, enum gw_access access, uint8_t **bytes)
{
	struct gw_explorer *x = gw_x_now();
	struct gw_x_machine *xm = x->machine;
	struct cpu *cpu = &xm->cpus[gw_current_cpu()];
	bool points = x->sched.points;
	struct slot *slot;
	uint8_t *frame;

	gw_sched_point(access == GW_ACCESS_WRITE ? "cpu_write" : "cpu_read", cpu, "program", 0);
	x->sched.points = false;
	slot = translate(cpu, mm, addr & ~(gw_vaddr_t)(GW_PAGE_SIZE - 1), access);
	x->sched.points = points;
	*bytes = NULL;
	if (!slot) {
		GW_SCHED_DETAIL("fault");
		return;
	}
	if (gw_page(xm->machine, gw_x_head(xm->machine, slot->pfn))->refcount.count.v == 0)
		gw_x_found(x, GW_EXPLORE_STALE_TLB,
			"CPU %u uses its translation of %#llx to frame %u, which nobody holds",
			gw_current_cpu(), (unsigned long long)slot->page, slot->pfn);
	frame = frame_address(xm, slot->pfn);
	gw_sched_access(frame, GW_PAGE_SIZE, access == GW_ACCESS_WRITE ? GW_CHANGES : GW_SEES);
	GW_SCHED_DETAIL("%#llx in frame %u", (unsigned long long)addr, slot->pfn);
	*bytes = frame + (addr & (GW_PAGE_SIZE - 1));
}

static int
access_bytes(struct gw_mm *mm, gw_vaddr_t addr, enum gw_access access, uint8_t **bytes)
{
	if (addr >= GW_VADDR_END)
		return -EFAULT;
	for (;;) {
		int err;

		reach(mm, addr, access, bytes);
		if (*bytes)
			return 0;
		err = gw_fault(mm, addr, access);
		if (err)
			return err;
	}
}

static int
access_word(struct gw_mm *mm, gw_vaddr_t addr, enum gw_access access, uint64_t **word)
{
	uint8_t *bytes;
	int err = addr % sizeof(uint64_t) ? -EINVAL : access_bytes(mm, addr, access, &bytes);

	if (!err)
		*word = (uint64_t *)(void *)bytes;
	return err;
}

int
gw_cpu_load(struct gw_mm *mm, gw_vaddr_t addr, uint64_t *value)
{
	uint64_t *word;
	int err = access_word(mm, addr, GW_ACCESS_READ, &word);

	if (!err)
		*value = *word;
	return err;
}

int
gw_cpu_store(struct gw_mm *mm, gw_vaddr_t addr, uint64_t value)
{
	uint64_t *word;
	int err = access_word(mm, addr, GW_ACCESS_WRITE, &word);

	if (!err)
		*word = value;
	return err;
}

int
gw_cpu_add(struct gw_mm *mm, gw_vaddr_t addr, uint64_t n, uint64_t *before)
{
	uint64_t *word;
	int err = access_word(mm, addr, GW_ACCESS_WRITE, &word);

	if (err)
		return err;
	if (before)
		*before = *word;
	*word += n;
	return 0;
}

int
gw_cpu_read(struct gw_mm *mm, gw_vaddr_t addr, void *buf, size_t len)
{
	for (uint8_t *to = buf; len > 0;) {
		size_t n = gw_bytes_in_page(addr, len);
		uint8_t *bytes;
		int err = access_bytes(mm, addr, GW_ACCESS_READ, &bytes);

		if (err)
			return err;
		memcpy(to, bytes, n);
		addr += n;
		to += n;
		len -= n;
	}
	return 0;
}

int
gw_cpu_write(struct gw_mm *mm, gw_vaddr_t addr, const void *buf, size_t len)
{
	for (const uint8_t *from = buf; len > 0;) {
		size_t n = gw_bytes_in_page(addr, len);
		uint8_t *bytes;
		int err = access_bytes(mm, addr, GW_ACCESS_WRITE, &bytes);

		if (err)
			return err;
		memcpy(bytes, from, n);
		addr += n;
		from += n;
		len -= n;
	}
	return 0;
}
