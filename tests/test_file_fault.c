/* SPDX-License-Identifier: MIT */
/*
 * test_file_fault.c - mapped files: shared and private, truncated, forked, moved, under migration
 * (FACTS R5, R8, R9, R15; file_fault.c L1, L2, zap.c Y1 to Y4).
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "file_fixture.h"
#include "godwit/memcg.h"
#include "machine_fixture.h"

/* What the store says at the beginning of a page. */
static uint64_t
first_word(uint64_t index)
{
	uint8_t bytes[sizeof(uint64_t)];
	uint64_t word;

	for (size_t b = 0; b < sizeof(bytes); b++)
		bytes[b] = pattern(index, b);
	memcpy(&word, bytes, sizeof(word));
	return word;
}

struct files {
	struct spaces *s;
	struct store *store;
	struct gw_mapping *file;
	struct gw_mm *mm;
	unsigned hooked;
};

static int
setup(void **state)
{
	struct files *f = calloc(1, sizeof(*f));

	f->s = spaces_create(4096);
	f->store = store_create();
	f->file = file_on(f->s, f->store);
	f->mm = new_space(f->s);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct files *f = *state;

	gw_mm_put(f->mm);
	file_put(f->file);
	store_destroy(f->store);
	spaces_destroy(f->s);
	free(f);
	return 0;
}

static gw_vaddr_t
map_file(struct files *f, struct gw_mm *mm, unsigned flags, uint64_t pgoff, uint64_t pages)
{
	gw_vaddr_t addr = 0;

	assert_int_equal(
		gw_mmap_file(mm, 0, pages * PAGE, READWRITE, flags, f->file, pgoff, &addr), 0);
	return addr;
}

static gw_vaddr_t
map_shared(struct files *f, struct gw_mm *mm)
{
	return map_file(f, mm, GW_MAP_SHARED, 0, STORE_PAGES);
}

static gw_vaddr_t
map_private(struct files *f, struct gw_mm *mm)
{
	return map_file(f, mm, 0, 0, STORE_PAGES);
}

static gw_pfn_t
cached_page(struct files *f, uint64_t index)
{
	gw_pfn_t page = gw_mapping_find(f->file, index);

	if (page != GW_PFN_NONE)
		gw_put_page(f->s->m, page);
	return page;
}

static uint64_t
event(struct files *f, enum gw_vm_event event)
{
	return (uint64_t)gw_percpu_sum(&f->s->m->events, event);
}

/* ---- one address space, and two ---- */

/* A first touch reads the page in and maps it; what a CPU writes through a shared mapping another
 * address space reads, and the store has it after a writeback. */
static void
shared_writes_are_seen(void **state)
{
	struct files *f = *state;
	struct gw_mm *both[2] = {f->mm, new_space(f->s)};
	gw_vaddr_t a = map_shared(f, both[0]), b = map_file(f, both[1], GW_MAP_SHARED, 2, 4);
	uint64_t value;

	assert_int_equal(peek(both[0], a + 3 * PAGE), first_word(3));
	assert_int_equal(peek(both[1], b + PAGE), first_word(3));
	assert_int_equal(page_of(both[0], a + 3 * PAGE), page_of(both[1], b + PAGE));
	assert_int_equal(page_of(both[0], a + 3 * PAGE), cached_page(f, 3));
	poke(both[0], a + 3 * PAGE, 77);
	assert_int_equal(try_peek(f->s, 1, both[1], b + PAGE, &value), 0);
	assert_int_equal(value, 77);
	verify(f->s, both, 2);
	assert_int_equal(gw_mapping_sync(f->file), 0);
	assert_memory_equal(f->store->bytes[3], &value, sizeof(value));
	gw_mm_put(both[1]);
}

/* A shared page read first is mapped read-only, so that its first write is seen: then it is
 * writable and dirty where it is. */
static void
shared_read_then_write(void **state)
{
	struct files *f = *state;
	gw_vaddr_t a = map_shared(f, f->mm);
	gw_pfn_t page;

	(void)peek(f->mm, a);
	page = page_of(f->mm, a);
	assert_false(entry_of(f->mm, a) & (GW_PTE_WRITE | GW_PTE_DIRTY));
	poke(f->mm, a, 1);
	assert_int_equal(page_of(f->mm, a), page);
	assert_true(entry_of(f->mm, a) & GW_PTE_WRITE);
	assert_true(entry_of(f->mm, a) & GW_PTE_DIRTY);
	poke(f->mm, a + PAGE, 1);
	assert_true(entry_of(f->mm, a + PAGE) & GW_PTE_DIRTY);
	assert_int_equal(cached_page(f, 1), page_of(f->mm, a + PAGE));
	verify(f->s, &f->mm, 1);
}

/* A private write goes to a copy, whether the page was mapped already or not; the file and others
 * that map it see nothing of it. The copy's index is the file's. */
static void
private_writes_are_copies(void **state)
{
	struct files *f = *state;
	struct gw_mm *both[2] = {f->mm, new_space(f->s)};
	gw_vaddr_t a = map_file(f, both[0], 0, 5, 4), b = map_private(f, both[1]);
	uint64_t value;

	assert_int_equal(try_peek(f->s, 1, both[0], a, &value), 0);
	assert_int_equal(value, first_word(5));
	poke(both[0], a, 1);		/* was mapped */
	poke(both[0], a + PAGE + 8, 2); /* was not */
	assert_int_equal(try_peek(f->s, 1, both[0], a, &value), 0);
	assert_int_equal(value, 1); /* not by the old translation */
	assert_int_equal(peek(both[0], a + PAGE), first_word(6));
	assert_int_equal(peek(both[1], b + 5 * PAGE), first_word(5));
	assert_int_not_equal(peek(both[1], b + 6 * PAGE + 8), 2);
	for (unsigned i = 0; i < 2; i++) {
		const struct gw_page *page = gw_page(f->s->m, page_of(both[0], a + i * PAGE));

		assert_true(gw_owner_is_anon(gw_ptr_load_relaxed(&page->owner)));
		assert_int_equal(gw_frame_index(page), 5 + i);
		assert_false(cached_flags(f->file, 5 + i) & GW_PG_DIRTY);
	}
	verify(f->s, both, 2);
	gw_mm_put(both[1]);
}

/* Refused: a range beyond page 2^32, and what anonymous mappings refuse, too. */
static void
refused(void **state)
{
	struct files *f = *state;
	gw_vaddr_t out = 5;

	assert_int_equal(
		gw_mmap_file(f->mm, 0, 2 * PAGE, READWRITE, 0, f->file, UINT32_MAX, &out), -EINVAL);
	assert_int_equal(
		gw_mmap_file(f->mm, 0, PAGE, READWRITE, 0, f->file, UINT64_MAX, &out), -EINVAL);
	assert_int_equal(
		gw_mmap_file(f->mm, 0, PAGE, READWRITE, GW_MAP_GROWSDOWN, f->file, 0, &out),
		-EINVAL);
	assert_int_equal(
		gw_mmap_file(f->mm, 1, PAGE, READWRITE, GW_MAP_FIXED, f->file, 0, &out), -EINVAL);
	assert_int_equal(out, 5);
	assert_int_equal(gw_mmap_file(f->mm, 0, PAGE, READWRITE, 0, f->file, UINT32_MAX, &out), 0);
	assert_int_equal(gw_cpu_store(f->mm, out, 1), -EFAULT); /* beyond the end */
}

/* What the store cannot read the access is told, and nothing is left of the try. */
static void
read_error(void **state)
{
	struct files *f = *state;
	gw_vaddr_t a = map_private(f, f->mm);
	uint64_t value;

	f->store->bad_read = 4;
	assert_int_equal(gw_cpu_load(f->mm, a + 4 * PAGE, &value), -EIO);
	assert_int_equal(gw_cpu_store(f->mm, a + 4 * PAGE, 1), -EIO);
	assert_int_equal(gw_mm_pages(f->mm), 0);
	assert_int_equal(cached_page(f, 4), GW_PFN_NONE);
	f->store->bad_read = UINT64_MAX;
	assert_int_equal(peek(f->mm, a + 4 * PAGE), first_word(4));
	verify(f->s, &f->mm, 1);
}

/* Each fault is counted; those that waited for the store also as major ones. */
static void
faults_are_counted(void **state)
{
	struct files *f = *state;
	gw_vaddr_t a = map_shared(f, f->mm), b = map_private(f, f->mm);
	uint64_t minor = event(f, GW_VM_PGFAULT), major = event(f, GW_VM_PGMAJFAULT);

	(void)peek(f->mm, a);
	assert_int_equal(event(f, GW_VM_PGFAULT), minor + 1);
	assert_int_equal(event(f, GW_VM_PGMAJFAULT), major + 1);
	(void)peek(f->mm, b);
	assert_int_equal(event(f, GW_VM_PGFAULT), minor + 2);
	assert_int_equal(event(f, GW_VM_PGMAJFAULT), major + 1);
}

/* ---- dirty marks ---- */

static void
unmap_it(struct files *f, gw_vaddr_t a)
{
	assert_int_equal(gw_munmap(f->mm, a, PAGE), 0);
}

static void
give_it_up(struct files *f, gw_vaddr_t a)
{
	assert_int_equal(gw_madvise(f->mm, a, PAGE, GW_MADV_DONTNEED), 0);
}

static void
exit_it(struct files *f, gw_vaddr_t a)
{
	(void)a;
	gw_mm_put(f->mm);
	f->mm = new_space(f->s);
}

/* The dirty mark goes to the migration entry's page at once: the entry may not live to see the end
 * (R15). */
static void
zap_on_its_way(struct files *f, gw_vaddr_t a)
{
	gw_pfn_t page = page_of(f->mm, a);
	struct gw_anon_vma *none = freeze_entries(f->s, page);
	struct gw_task other;

	assert_int_equal(gw_task_attach(&other, f->s->m, 0), 0);
	unmap_it(f, a);
	gw_task_detach(&other);
	thaw_entries(f->s, page, none);
	assert_int_equal(gw_u32_load_relaxed(&gw_page(f->s->m, page)->mapcount), 0);
}

/* However the entry goes through which a page was written, the page is dirty afterwards. */
static void
dirty_marks_are_kept(void **state)
{
	struct files *f = *state;
	void (*const ways[])(struct files * f, gw_vaddr_t a) = {
		unmap_it, give_it_up, exit_it, zap_on_its_way};

	for (unsigned i = 0; i < 4; i++) {
		gw_vaddr_t a = map_shared(f, f->mm) + i * PAGE;
		uint64_t value = 1000 + i;

		poke(f->mm, a, value);
		assert_false(cached_flags(f->file, i) & GW_PG_DIRTY);
		ways[i](f, a);
		assert_true(cached_flags(f->file, i) & GW_PG_DIRTY);
		assert_int_equal(gw_mapping_sync(f->file), 0);
		assert_memory_equal(f->store->bytes[i], &value, sizeof(value));
	}
	verify(f->s, &f->mm, 1);
}

/* ---- truncation ---- */

/* Truncated pages and the private copies of them are gone from every address space and CPU; after
 * the file has grown again they read as zeroes. */
static void
truncation_takes_everything(void **state)
{
	struct files *f = *state;
	struct gw_mm *both[2] = {f->mm, new_space(f->s)};
	gw_vaddr_t a = map_file(f, both[0], GW_MAP_SHARED, 8, 16), b = map_private(f, both[1]);
	uint64_t value;

	for (unsigned i = 0; i < 16; i++) {
		assert_int_equal(try_poke(f->s, 1, both[0], a + i * PAGE, i), 0);
		assert_int_equal(try_poke(f->s, 1, both[1], b + (8 + i) * PAGE + 8, i), 0);
	}
	(void)peek(both[1], b + 40 * PAGE);
	assert_int_equal(gw_mapping_truncate(f->file, 12), 0);
	for (unsigned i = 0; i < 16; i++) {
		int err = i < 4 ? 0 : -EFAULT;

		assert_int_equal(try_peek(f->s, 1, both[0], a + i * PAGE, &value), err);
		assert_int_equal(try_poke(f->s, 1, both[1], b + (8 + i) * PAGE + 8, i), err);
	}
	assert_int_equal(gw_mm_pages(both[0]), 4);
	assert_int_equal(gw_mm_pages(both[1]), 4);
	verify(f->s, both, 2);
	assert_int_equal(gw_mapping_truncate(f->file, STORE_PAGES), 0);
	assert_int_equal(peek(both[0], a + 3 * PAGE), 3);
	assert_int_equal(peek(both[0], a + 4 * PAGE), 0);
	assert_int_equal(peek(both[1], b + 12 * PAGE + 8), 0);
	assert_int_equal(peek(both[1], b + 40 * PAGE), 0);
	verify(f->s, both, 2);
	gw_mm_put(both[1]);
}

static int
truncating_read(void *ctx, uint64_t index, void *bytes)
{
	struct files *f = ctx;

	f->hooked++;
	gw_u64_store_release(&f->file->pages, 0); /* as truncation begins */
	memset(bytes, (int)index, PAGE);
	return 0;
}

/* L1: a file that shrinks while its page is read in has no entry of it afterwards, nor a copy. */
static void
size_is_compared_again(void **state)
{
	struct files *f = *state;
	const struct gw_backing_ops ops = {.read = truncating_read, .migrate = gw_mapping_migrate};
	struct gw_mapping *file = f->file;
	gw_vaddr_t a = 0;

	for (unsigned access = 0; access < 2; access++) {
		assert_int_equal(gw_mapping_create(f->s->m, &ops, f, 8, 0, &f->file), 0);
		a = map_file(f, f->mm, 0, 0, 8);
		assert_int_equal(
			gw_fault(f->mm, a, access ? GW_ACCESS_WRITE : GW_ACCESS_READ), -EFAULT);
		assert_int_equal(f->hooked, access + 1);
		assert_int_equal(entry_of(f->mm, a), 0);
		assert_int_equal(gw_munmap(f->mm, a, 8 * PAGE), 0);
		file_put(f->file);
	}
	f->file = file;
}

/* ---- what happens to mappings ---- */

/* fork: a shared mapping stays shared; a private one has its copies shared until written. */
static void
fork_keeps_both(void **state)
{
	struct files *f = *state;
	gw_vaddr_t a = map_shared(f, f->mm), b = map_private(f, f->mm);
	struct gw_mm *both[2] = {f->mm};

	poke(f->mm, a, 1);
	poke(f->mm, b + PAGE, 2);
	(void)peek(f->mm, b + 2 * PAGE);
	both[1] = fork_space(f->mm);
	verify(f->s, both, 2);
	assert_int_equal(page_of(both[1], b + 2 * PAGE), cached_page(f, 2));
	poke(both[1], a, 3);
	assert_int_equal(peek(both[0], a), 3);
	assert_int_equal(peek(both[1], b + PAGE), 2);
	poke(both[1], b + PAGE, 4);
	assert_int_equal(peek(both[0], b + PAGE), 2);
	assert_int_equal(peek(both[1], b + PAGE), 4);
	verify(f->s, both, 2);
	gw_mm_put(both[1]);
}

/* R8: a walk over a file's mappings comes to the parent first; a migration entry of a file page
 * that fork has copied is found in the child. */
static void
fork_of_migration_entries(void **state)
{
	struct files *f = *state;
	gw_vaddr_t a = map_private(f, f->mm);
	struct gw_mm *both[2] = {f->mm};
	struct gw_anon_vma *none;
	struct places places;
	struct gw_task other;
	gw_pfn_t page;

	poke(f->mm, a, 1); /* an anon_vma: entries are copied */
	(void)peek(f->mm, a + PAGE);
	page = page_of(f->mm, a + PAGE);
	none = freeze_entries(f->s, page);
	assert_int_equal(gw_task_attach(&other, f->s->m, 0), 0);
	both[1] = fork_space(f->mm);
	gw_task_detach(&other);
	assert_true(gw_pte_is_migration(entry_of(both[1], a + PAGE)));
	thaw_entries(f->s, page, none);
	assert_int_equal(page_of(both[0], a + PAGE), page);
	assert_int_equal(page_of(both[1], a + PAGE), page);
	places = places_of(f->s, page);
	assert_int_equal(places.n, 2);
	assert_ptr_equal(places.mm[0], both[0]);
	assert_ptr_equal(places.mm[1], both[1]);
	verify(f->s, both, 2);
	gw_mm_put(both[1]);
}

/* R5, R9: rmap finds a file page at its address, and only there, after the mapping was split,
 * moved, grown and cut. */
static void
rmap_follows_changes(void **state)
{
	struct files *f = *state;
	gw_vaddr_t a = map_file(f, f->mm, GW_MAP_SHARED, 4, 16), to = 0;
	gw_pfn_t page;
	struct places places;

	for (unsigned i = 0; i < 16; i++)
		poke(f->mm, a + i * PAGE, i);
	page = page_of(f->mm, a + 9 * PAGE);
	assert_int_equal(gw_mprotect(f->mm, a + 6 * PAGE, 4 * PAGE, GW_PROT_READ), 0); /* splits */
	verify(f->s, &f->mm, 1);
	assert_int_equal(gw_cpu_store(f->mm, a + 9 * PAGE, 1), -EFAULT);
	map_at(f->mm, a + 16 * PAGE, 1); /* it cannot grow here */
	assert_int_equal(gw_mremap(f->mm, a + 8 * PAGE, 2 * PAGE, 4 * PAGE, &to), 0);
	assert_int_not_equal(to, a + 8 * PAGE);
	places = places_of(f->s, page);
	assert_int_equal(places.n, 1);
	assert_int_equal(places.addr[0], to + PAGE);
	assert_int_equal(peek(f->mm, to + PAGE), 9);
	assert_int_equal(peek(f->mm, to + 2 * PAGE), 10); /* the file goes on */
	assert_int_equal(gw_munmap(f->mm, to, PAGE), 0);
	verify(f->s, &f->mm, 1);
	assert_true(bounce_entries(f->s, page));
	assert_int_equal(page_of(f->mm, to + PAGE), page);
	assert_int_equal(gw_mprotect(f->mm, to + PAGE, PAGE, READWRITE), 0);
	poke(f->mm, to + PAGE, 99);
	verify(f->s, &f->mm, 1);
}

/* A mapping keeps the file: it can be used, and what was written is in the store after the last
 * unmapping. */
static void
mapping_keeps_the_file(void **state)
{
	struct files *f = *state;
	struct store *store = store_create();
	struct gw_mapping *file = file_on(f->s, store), *kept = f->file;
	uint64_t value = 5;
	gw_vaddr_t a;

	f->file = file;
	a = map_shared(f, f->mm);
	f->file = kept;
	gw_mapping_put(file);
	assert_false(store->released);
	poke(f->mm, a + PAGE, value);
	assert_int_equal(gw_munmap(f->mm, a, STORE_PAGES * PAGE), 0);
	gw_rcu_barrier();
	assert_memory_equal(store->bytes[1], &value, sizeof(value));
	store_destroy(store);
}

/* Y4: reclaim has taken an entry away and not flushed yet; whoever unmaps the place and maps other
 * memory there does not find a CPU that still uses the old page. */
static void
unmapping_flushes_for_reclaim(void **state)
{
	struct files *f = *state;
	gw_vaddr_t a = map_shared(f, f->mm);
	gw_atomic_u64 *entry;
	gw_spinlock *lock;
	gw_pfn_t page;
	uint64_t value;

	assert_int_equal(try_poke(f->s, 1, f->mm, a, 1), 0); /* CPU 1 keeps the translation */
	page = page_of(f->mm, a);
	entry = gw_pte_lock(f->mm, a, &lock);
	(void)gw_u64_xchg_acq_rel(entry, 0);
	gw_spin_unlock(lock);
	gw_u64_sub_relaxed(&f->mm->pages, 1);
	map_at(f->mm, a, 1);
	poke(f->mm, a, 2);
	assert_int_equal(try_peek(f->s, 1, f->mm, a, &value), 0);
	assert_int_equal(value, 2);
	gw_rmap_remove(f->s->m, page); /* reclaim goes on */
	gw_put_page(f->s->m, page);
	verify(f->s, &f->mm, 1);
}

/* ---- memory that is not there ---- */

/* A group pays for the pages that its address spaces' faults bring in, forks included, up to its
 * limit (memcg.h). */
static void
groups_pay(void **state)
{
	struct files *f = *state;
	gw_vaddr_t a = map(f->mm, 4), b = map_shared(f, f->mm);
	struct gw_memcg *memcg = NULL;
	struct gw_mm *child;

	assert_int_equal(gw_memcg_create(f->s->m, 4, &memcg), 0);
	gw_mm_set_memcg(f->mm, memcg);
	for (unsigned i = 0; i < 3; i++)
		poke(f->mm, a + i * PAGE, i);
	poke(f->mm, b, 1);
	assert_int_equal(gw_memcg_usage(memcg), 4);
	assert_ptr_equal(gw_page_memcg(f->s->m, page_of(f->mm, a)), memcg);
	assert_ptr_equal(gw_page_memcg(f->s->m, page_of(f->mm, b)), memcg);
	gw_memcg_set_limit(memcg, 5);
	child = fork_space(f->mm);
	poke(child, a, 9);
	assert_int_equal(gw_memcg_usage(memcg), 5);
	assert_int_equal(gw_madvise(f->mm, b, PAGE, GW_MADV_DONTNEED), 0);
	assert_int_equal(gw_mapping_truncate(f->file, 0), 0);
	poke(child, a + PAGE, 9);
	assert_int_equal(gw_cpu_store(child, a + 2 * PAGE, 9), -ENOMEM);
	assert_int_equal(peek(child, a + 2 * PAGE), 2);
	gw_mm_put(child);
	assert_int_equal(gw_memcg_usage(memcg), 3);
	gw_mm_put(f->mm);
	f->mm = new_space(f->s);
	assert_int_equal(gw_memcg_usage(memcg), 0);
	gw_memcg_put(memcg);
}

/* Map, touch, copy, fork, split and move: the first error, or 0. All is given up again. */
static int
use_file(struct gw_machine *m, struct gw_mapping *file)
{
	struct gw_mm *mm = NULL, *child = NULL;
	gw_vaddr_t a = 0, b = 0, to;
	int err = gw_mm_create(m, &mm);

	if (err)
		return err;
	err = gw_mmap_file(mm, 0, 8 * PAGE, READWRITE, 0, file, 0, &a);
	if (!err)
		err = gw_mmap_file(mm, 0, 8 * PAGE, READWRITE, GW_MAP_SHARED, file, 0, &b);
	err = err ? err : gw_fault(mm, a, GW_ACCESS_WRITE);
	err = err ? err : gw_fault(mm, a + PAGE, GW_ACCESS_READ);
	err = err ? err : gw_fault(mm, a + PAGE, GW_ACCESS_WRITE);
	err = err ? err : gw_fault(mm, b + 2 * PAGE, GW_ACCESS_WRITE);
	err = err ? err : gw_mm_fork(mm, &child);
	err = err ? err : gw_mprotect(mm, a + 2 * PAGE, PAGE, GW_PROT_READ);
	err = err ? err : gw_mremap(mm, a, 2 * PAGE, 8 * PAGE, &to);
	err = err ? err : gw_munmap(mm, b + PAGE, PAGE);
	if (child)
		gw_mm_put(child);
	gw_mm_put(mm);
	return err;
}

struct scarce {
	struct fixture *f;
	struct store *store;
	struct gw_mapping *file;
	uint64_t frames, bytes; /* free frames, memory in use, when nothing is mapped */
};

/* Nothing is cached, nothing on its way. */
static void
scarce_settle(struct scarce *c)
{
	assert_int_equal(gw_mapping_truncate(c->file, 0), 0);
	assert_int_equal(gw_mapping_truncate(c->file, STORE_PAGES), 0);
	gw_lru_add_drain_all(c->f->m);
	gw_rcu_barrier();
}

static void
scarce_begin(struct scarce *c)
{
	c->f = fixture_create(256, 1, 4);
	c->store = store_create();
	assert_int_equal(
		gw_mapping_create(c->f->m, &store_ops, c->store, STORE_PAGES, 0, &c->file), 0);
	assert_int_equal(use_file(c->f->m, c->file), 0); /* the zero page, the side table */
	scarce_settle(c);
	c->frames = fixture_free_frames(c->f);
	c->bytes = gw_u64_load_relaxed(&c->f->live_bytes);
}

/* Nothing of a try is left. */
static void
scarce_check(struct scarce *c)
{
	scarce_settle(c);
	fixture_check(c->f);
	assert_int_equal(fixture_free_frames(c->f), c->frames);
	assert_int_equal(gw_u64_load_relaxed(&c->f->live_bytes), c->bytes);
}

static void
scarce_end(struct scarce *c)
{
	file_put(c->file);
	store_destroy(c->store);
	fixture_destroy(c->f);
}

/* Whichever allocation fails, the call says -ENOMEM and nothing is left behind. */
static void
survives_each_failed_allocation(void **state)
{
	struct scarce c;
	unsigned k = 0;
	int err;

	(void)state;
	scarce_begin(&c);
	do {
		c.f->fail_at = gw_u64_load_relaxed(&c.f->allocations) + ++k;
		err = use_file(c.f->m, c.file);
		c.f->fail_at = 0;
		assert_true(err == 0 || err == -ENOMEM);
		scarce_check(&c);
	} while (err);
	assert_true(k > 20);
	scarce_end(&c);
}

/* The same for frames. */
static void
survives_each_missing_frame(void **state)
{
	struct scarce c;
	gw_pfn_t held[256];
	int err = -ENOMEM;

	(void)state;
	scarce_begin(&c);
	for (unsigned spare = 0; err; spare++) {
		unsigned n = 0;

		while (gw_alloc_pages(c.f->m, 0, 0, 0, &held[n]) == 0)
			n++;
		for (unsigned i = 0; i < spare; i++)
			gw_put_page(c.f->m, held[--n]);
		err = use_file(c.f->m, c.file);
		assert_true(err == 0 || err == -ENOMEM);
		assert_true(err || spare > 8);
		while (n > 0)
			gw_put_page(c.f->m, held[--n]);
		scarce_check(&c);
	}
	scarce_end(&c);
}

/* ---- threads ---- */

struct toucher {
	struct files *f;
	gw_vaddr_t shared, private;
	uint64_t seed;
	uint64_t adds[2][STORE_PAGES]; /* to words of the shared mapping; of the private one */
	unsigned refused;
	gw_atomic_u32 done;
};

static void
touch(struct toucher *t, uint64_t i, bool private)
{
	gw_vaddr_t at = (private ? t->private : t->shared) + i * PAGE;
	int err = gw_cpu_add(t->f->mm, at, 1, NULL);

	assert_true(err == 0 || err == -EFAULT);
	if (err)
		t->refused++;
	else
		t->adds[private][i]++;
}

static void *
touch_on_and_on(void *arg)
{
	struct toucher *t = arg;
	struct gw_task task;

	assert_int_equal(gw_task_attach(&task, t->f->s->m, 1), 0);
	while (!gw_u32_load_acquire(&t->done))
		touch(t, test_random(&t->seed) % STORE_PAGES, test_random(&t->seed) % 2);
	gw_task_detach(&task);
	return NULL;
}

/* Beyond the end no entry is left when truncation returns, whatever faults were under way (L1). */
static void
faults_against_truncation(void **state)
{
	struct files *f = *state;
	struct toucher t = {
		.f = f, .shared = map_shared(f, f->mm), .private = map_private(f, f->mm)};
	uint64_t random = test_seed();
	pthread_t thread;

	t.seed = random + 1;
	assert_int_equal(pthread_create(&thread, NULL, touch_on_and_on, &t), 0);
	for (unsigned round = 0; round < 1500; round++) {
		uint64_t end = test_random(&random) % STORE_PAGES;

		assert_int_equal(gw_mapping_truncate(f->file, end), 0);
		for (uint64_t i = end; i < STORE_PAGES; i++) {
			assert_int_equal(entry_of(f->mm, t.shared + i * PAGE), 0);
			assert_int_equal(entry_of(f->mm, t.private + i * PAGE), 0);
		}
		assert_int_equal(gw_mapping_truncate(f->file, STORE_PAGES), 0);
		sched_yield();
	}
	gw_u32_store_release(&t.done, 1);
	pthread_join(thread, NULL);
	print_message("# %u accesses beyond the end\n", t.refused);
	verify(f->s, &f->mm, 1);
}

/* Forks and migrations beside writes lose none of them: not of shared pages, not of private ones;
 * a child keeps what its parent had. */
static void
faults_against_fork(void **state)
{
	struct files *f = *state;
	struct toucher t = {.f = f};
	uint64_t random = test_seed();
	unsigned bounced = 0;
	pthread_t thread;

	memset(f->store->bytes, 0, sizeof(f->store->bytes));
	t.shared = map_shared(f, f->mm);
	t.private = map_private(f, f->mm);
	t.seed = random + 1;
	assert_int_equal(pthread_create(&thread, NULL, touch_on_and_on, &t), 0);
	for (unsigned round = 0; round < 300; round++) {
		struct gw_mm *child = fork_space(f->mm);
		uint64_t i = test_random(&random) % STORE_PAGES;
		uint64_t before = peek(child, t.private + i * PAGE), after;

		for (unsigned n = 0; n < 8; n++) {
			gw_pfn_t page = cached_page(f, test_random(&random) % STORE_PAGES);

			bounced += page != GW_PFN_NONE && bounce_entries(f->s, page);
		}
		poke(child, t.private + i * PAGE + 8, round);
		after = peek(child, t.private + i * PAGE);
		assert_true(after >= before);
		gw_mm_put(child);
	}
	gw_u32_store_release(&t.done, 1);
	pthread_join(thread, NULL);
	print_message("# %u bounces\n", bounced);
	verify(f->s, &f->mm, 1);
	for (uint64_t i = 0; i < STORE_PAGES; i++) {
		assert_int_equal(peek(f->mm, t.shared + i * PAGE), t.adds[false][i]);
		/* The copy began with what the file had then. */
		assert_true(peek(f->mm, t.private + i * PAGE) >= t.adds[true][i]);
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(shared_writes_are_seen),
		TEST(shared_read_then_write),
		TEST(private_writes_are_copies),
		TEST(refused),
		TEST(read_error),
		TEST(faults_are_counted),
		TEST(dirty_marks_are_kept),
		TEST(truncation_takes_everything),
		TEST(size_is_compared_again),
		TEST(fork_keeps_both),
		TEST(fork_of_migration_entries),
		TEST(rmap_follows_changes),
		TEST(mapping_keeps_the_file),
		TEST(unmapping_flushes_for_reclaim),
		TEST(groups_pay),
		cmocka_unit_test(survives_each_failed_allocation),
		cmocka_unit_test(survives_each_missing_frame),
		TEST(faults_against_truncation),
		TEST(faults_against_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
