/* SPDX-License-Identifier: MIT */
/*
 * storm_file.c - the storm's files: mapped by programs, read and written beside them, truncated,
 * written back.
 *
 * Idea. What a file must say stands in a region of its own, which has no address but that of the
 * program through whose mapping it is looked at. Page 0 holds counters that programs add to at any
 * time through shared mappings; it is never truncated. The other pages are worked on under the
 * file's mutex, through a shared mapping, a private one, or the file itself: all must agree.
 *
 * Locks: program->layout (to read), then the file's mutex (region.mutex).
 */
#include "godwit/file.h"
#include "machine/soft/storm_internal.h"

#define READWRITE (GW_PROT_READ | GW_PROT_WRITE)

int
storm_files_open(struct storm *s)
{
	for (unsigned i = 0; i < STORM_FILES; i++) {
		struct storm_file *f = &s->files[i];
		void *ctx;
		int err = storm_region_init(&f->region, STORM_PAGES);

		if (err)
			return err;
		err = gw_soft_ram_backing(STORM_PAGES, &ctx);
		if (err)
			return err;
		err = gw_mapping_create(s->m, &gw_soft_ram_ops, ctx, STORM_PAGES, 0, &f->mapping);
		if (err) {
			gw_soft_ram_ops.release(ctx);
			return err;
		}
		f->region.id = gw_u32_add_relaxed(&s->region_ids, 1) + 1;
		f->region.first = 1;
		f->region.end = STORM_PAGES;
		storm_region_forget(&f->region, 0, STORM_PAGES);
	}
	return 0;
}

void
storm_files_close(struct storm *s)
{
	for (unsigned i = 0; i < STORM_FILES; i++) {
		if (s->files[i].mapping)
			gw_mapping_put(s->files[i].mapping);
		storm_region_destroy(&s->files[i].region);
	}
}

/* True: done. Else only want of memory is an excuse. */
static bool
succeeded(struct storm_thread *t, const struct storm_file *f, const char *what, int err)
{
	if (err == -ENOMEM)
		storm_no_memory(t);
	else if (err)
		storm_lost(t->s, "file %ld: %s gave %d", (long)(f - t->s->files), what, err);
	return err == 0;
}

/* ---- the file itself ---- */

static bool
read_page(struct storm_thread *t, struct storm_file *f, unsigned page)
{
	return succeeded(t, f, "read",
		gw_mapping_read(f->mapping, page * GW_PAGE_SIZE, t->buf, GW_PAGE_SIZE));
}

static bool
check_page(struct storm_thread *t, struct storm_file *f, unsigned page)
{
	return read_page(t, f, page) && storm_check_page(t, NULL, &f->region, page);
}

static void
write_page(struct storm_thread *t, struct storm_file *f, unsigned page)
{
	size_t first = page * WORDS_PER_PAGE + storm_below(t, WORDS_PER_PAGE);
	size_t n = 1 + storm_below(t, (unsigned)((page + 1) * WORDS_PER_PAGE - first));
	uint32_t version = storm_make_words(t, &f->region, first, n);
	int err = gw_mapping_write(
		f->mapping, first * sizeof(uint64_t), t->buf, n * sizeof(uint64_t));

	storm_know_words(&f->region, first, n, version, err);
	(void)succeeded(t, f, "write", err);
}

void
storm_files_verify(struct storm_thread *t)
{
	for (unsigned i = 0; i < STORM_FILES; i++) {
		struct storm_file *f = &t->s->files[i];

		for (unsigned page = f->region.first; page < f->region.end; page++)
			if (!check_page(t, f, page))
				return;
		if (!read_page(t, f, 0))
			return;
		for (unsigned c = 0; c < STORM_COUNTERS; c++)
			if (t->buf[c] != gw_u64_load_relaxed(&f->added[c]))
				storm_lost(t->s, "file %u: counter %u is %llu after %llu additions",
					i, c, (unsigned long long)t->buf[c],
					(unsigned long long)gw_u64_load_relaxed(&f->added[c]));
	}
}

/* ---- through a program's mappings ---- */

/* Mapped whole, whatever its size is now. */
static bool
map_file(struct storm_thread *t, struct storm_program *p, struct storm_file *f, unsigned flags,
	gw_vaddr_t *addr)
{
	return succeeded(t, f, "mmap",
		gw_mmap_file(p->mm, 0, STORM_PAGES * GW_PAGE_SIZE, READWRITE, flags, f->mapping, 0,
			addr));
}

static void
beyond_the_end(struct storm_thread *t, struct storm_program *p, const struct storm_file *f)
{
	if (f->region.end < STORM_PAGES)
		storm_expect_fault(t, p, f->region.base + (STORM_PAGES - 1) * GW_PAGE_SIZE,
			storm_below(t, 2) ? GW_ACCESS_READ : GW_ACCESS_WRITE);
}

static void
work_shared(struct storm_thread *t, struct storm_program *p, struct storm_file *f)
{
	gw_atomic_u64 *place = &p->file_maps[f - t->s->files];

	f->region.base = gw_u64_load_relaxed(place);
	if (!f->region.base) {
		if (!map_file(t, p, f, GW_MAP_SHARED, &f->region.base))
			return;
		gw_u64_store_relaxed(place, f->region.base);
	}
	if (storm_below(t, 2))
		(void)storm_write(t, p, &f->region);
	else
		(void)storm_verify_some(t, p, &f->region);
	beyond_the_end(t, p, f);
}

/* What is written to a private mapping is not the file's. */
static void
work_private(struct storm_thread *t, struct storm_program *p, struct storm_file *f)
{
	const uint64_t mine = storm_random(t);
	uint64_t found = ~mine;
	unsigned page;
	gw_vaddr_t at;

	if (f->region.first == f->region.end || !map_file(t, p, f, 0, &f->region.base))
		return;
	page = f->region.first + storm_below(t, f->region.end - f->region.first);
	at = f->region.base + page * GW_PAGE_SIZE;
	if (storm_verify(t, p, &f->region, page, page + 1) &&
		succeeded(t, f, "store", gw_cpu_store(p->mm, at, mine)) && check_page(t, f, page) &&
		succeeded(t, f, "load", gw_cpu_load(p->mm, at, &found)) && found != mine)
		storm_lost(t->s, "address space %u, %#llx: private copy of file %ld lost",
			gw_mm_id(p->mm), (unsigned long long)at, (long)(f - t->s->files));
	beyond_the_end(t, p, f);
	(void)succeeded(
		t, f, "munmap", gw_munmap(p->mm, f->region.base, STORM_PAGES * GW_PAGE_SIZE));
}

/* Several threads at once: no mutex. */
static void
add(struct storm_thread *t, struct storm_program *p, struct storm_file *f)
{
	gw_vaddr_t addr = gw_u64_load_relaxed(&p->file_maps[f - t->s->files]);

	for (unsigned i = 0; i < 32 && addr; i++) {
		unsigned counter = storm_below(t, STORM_COUNTERS);

		if (!succeeded(t, f, "add",
			    gw_cpu_add(p->mm, addr + counter * sizeof(uint64_t), 1, NULL)))
			return;
		gw_u64_add_relaxed(&f->added[counter], 1);
	}
}

static void
unmap(struct storm_thread *t, struct storm_program *p, struct storm_file *f)
{
	gw_atomic_u64 *place = &p->file_maps[f - t->s->files];
	gw_vaddr_t addr = gw_u64_load_relaxed(place);

	if (addr && succeeded(t, f, "munmap", gw_munmap(p->mm, addr, STORM_PAGES * GW_PAGE_SIZE)))
		gw_u64_store_relaxed(place, 0);
}

void
storm_file(struct storm_thread *t, struct storm_program *p)
{
	struct storm_file *f = &t->s->files[storm_below(t, STORM_FILES)];
	unsigned how = storm_below(t, 16);

	if (how == 0) {
		pthread_rwlock_wrlock(&p->layout);
		unmap(t, p, f);
		pthread_rwlock_unlock(&p->layout);
		return;
	}
	pthread_rwlock_rdlock(&p->layout);
	if (how < 5) {
		add(t, p, f);
	} else {
		pthread_mutex_lock(&f->region.mutex);
		if (how < 12)
			work_shared(t, p, f);
		else
			work_private(t, p, f);
		pthread_mutex_unlock(&f->region.mutex);
	}
	pthread_rwlock_unlock(&p->layout);
}

/* ---- beside the programs ---- */

void
storm_truncate(struct storm_thread *t)
{
	struct storm_file *f = &t->s->files[storm_below(t, STORM_FILES)];
	unsigned end = 1 + storm_below(t, STORM_PAGES);

	pthread_mutex_lock(&f->region.mutex);
	if (succeeded(t, f, "truncate", gw_mapping_truncate(f->mapping, end))) {
		unsigned from = end < f->region.end ? end : f->region.end;

		storm_region_forget(&f->region, from, STORM_PAGES);
		f->region.end = end;
	}
	/* Large again, mostly; what was cut off reads as zero. */
	if (storm_below(t, 4) &&
		succeeded(t, f, "truncate", gw_mapping_truncate(f->mapping, STORM_PAGES))) {
		f->region.end = STORM_PAGES;
		(void)check_page(t, f, STORM_PAGES - 1);
	}
	pthread_mutex_unlock(&f->region.mutex);
}

void
storm_file_io(struct storm_thread *t)
{
	struct storm_file *f = &t->s->files[storm_below(t, STORM_FILES)];
	unsigned page;

	if (storm_below(t, 4) == 0) { /* while others write */
		(void)succeeded(t, f, "writeback", gw_mapping_sync(f->mapping));
		return;
	}
	pthread_mutex_lock(&f->region.mutex);
	for (unsigned i = 0; i < 8 && f->region.end > f->region.first; i++) {
		page = f->region.first + storm_below(t, f->region.end - f->region.first);
		if (storm_below(t, 2))
			write_page(t, f, page);
		else if (!check_page(t, f, page))
			break;
	}
	pthread_mutex_unlock(&f->region.mutex);
}
