/* SPDX-License-Identifier: MIT */
/*
 * test_swap_fault.c - anonymous memory that comes back from swap: who gets which page, and what
 * becomes of entries that name a slot (FACTS A10, R3, R10, R16; swap_fault.c Q1 to Q3).
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "engine/store/store.h"
#include "engine/sync/bytes.h"
#include "file_fixture.h"
#include "godwit/memcg.h"
#include "machine_fixture.h"

#define SLOTS 64

/* A swap area of bytes, and what may happen while one of its pages is read. */
struct area {
	struct spaces *s;
	struct gw_mm *mm;
	int read_error;
	gw_atomic_u32 reads;
	void (*on_read)(struct area *a);
	struct gw_mapping *file; /* the hook's */
	uint8_t bytes[SLOTS][PAGE];
};

static int
area_read(void *ctx, uint64_t index, void *bytes)
{
	struct area *a = ctx;

	gw_u32_add_relaxed(&a->reads, 1);
	if (a->on_read)
		a->on_read(a);
	memcpy(bytes, a->bytes[index], PAGE);
	return a->read_error;
}

static int
area_write(void *ctx, uint64_t index, const void *bytes)
{
	struct area *a = ctx;

	gw_bytes_load(a->bytes[index], bytes, PAGE);
	return 0;
}

static const struct gw_backing_ops area_ops = {.read = area_read, .write = area_write};

static int
setup(void **state)
{
	struct area *a = calloc(1, sizeof(*a));

	a->s = spaces_create(4096);
	assert_int_equal(gw_swap_on(a->s->m, &area_ops, a, SLOTS), 0);
	a->mm = new_space(a->s);
	*state = a;
	return 0;
}

/* No slot is left in use, and no page in the swap cache. */
static int
teardown(void **state)
{
	struct area *a = *state;
	struct gw_swap_info info;

	gw_mm_put(a->mm);
	gw_swap_info(a->s->m, &info);
	assert_int_equal(info.used, 0);
	assert_int_equal(info.cached, 0);
	assert_int_equal(gw_swap_off(a->s->m), 0);
	spaces_destroy(a->s);
	free(a);
	return 0;
}

static struct gw_swap_info
info_of(struct area *a)
{
	struct gw_swap_info info;

	gw_swap_info(a->s->m, &info);
	return info;
}

static uint64_t
event(struct area *a, enum gw_vm_event event)
{
	return (uint64_t)gw_percpu_sum(&a->s->m->events, event);
}

/* A locked anonymous page goes out, as far as its users let it. 0, or why it did not. */
static int
send_out(struct gw_machine *m, gw_pfn_t page)
{
	int err = 0;

	if (!(gw_page_flags(gw_page(m, page)) & GW_PG_SWAPCACHE))
		err = gw_swap_cache_add(m, page);
	if (!err && !gw_page_unmap(m, page))
		err = -EAGAIN;
	return err ? err : gw_page_write_out(m, page);
}

/* Nobody has brought it back while it was written. Page locked. */
static bool
is_out(struct gw_machine *m, gw_pfn_t page)
{
	return !gw_page_mapped(m, page) &&
	       (gw_page_flags(gw_page(m, page)) & (GW_PG_SWAPCACHE | GW_PG_DIRTY)) ==
		       GW_PG_SWAPCACHE;
}

/* All entries of the page at addr name a slot now; `cached`: the page stays in the swap cache. */
static void
push_out(struct area *a, struct gw_mm *mm, gw_vaddr_t addr, bool cached)
{
	struct gw_machine *m = a->s->m;
	gw_pfn_t page = page_of(mm, addr);

	gw_lru_add_drain_all(m);
	gw_get_page(m, page);
	gw_page_lock(m, page);
	assert_int_equal(send_out(m, page), 0);
	assert_true(is_out(m, page));
	if (!cached)
		gw_swap_cache_delete(m, page);
	gw_swap_page_unlock(m, page);
	gw_put_page(m, page);
	assert_int_equal(gw_pte_kind(entry_of(mm, addr)), GW_PTE_IS_SWAP);
}

/* ---- out and in ---- */

/* A page that went out comes back with its bytes. Its slot and its place in the swap cache are
 * given up; for a write it is writable at once, for a read when it is written, without a copy. */
static void
comes_back(void **state)
{
	struct area *a = *state;
	gw_vaddr_t at = map(a->mm, 2);
	uint64_t major = event(a, GW_VM_PGMAJFAULT);
	gw_pfn_t page;

	for (unsigned cpu = 0; cpu < 2; cpu++)
		assert_int_equal(try_poke(a->s, cpu, a->mm, at + cpu * PAGE, 5 + cpu), 0);
	push_out(a, a->mm, at, false);
	push_out(a, a->mm, at + PAGE, false);
	assert_int_equal(gw_mm_pages(a->mm), 0);
	assert_int_equal(info_of(a).used, 2);
	verify(a->s, &a->mm, 1);

	assert_int_equal(peek(a->mm, at), 5);
	page = page_of(a->mm, at);
	poke(a->mm, at, 7);
	assert_int_equal(page_of(a->mm, at), page);
	assert_int_equal(gw_fault(a->mm, at + PAGE, GW_ACCESS_WRITE), 0);
	assert_true(entry_of(a->mm, at + PAGE) & GW_PTE_WRITE);
	assert_true(entry_of(a->mm, at + PAGE) & GW_PTE_DIRTY);
	assert_int_equal(peek(a->mm, at + PAGE), 6);
	assert_int_equal(gw_u32_load_relaxed(&a->reads), 2);
	assert_int_equal(event(a, GW_VM_PGMAJFAULT), major + 2);
	assert_int_equal(gw_mm_pages(a->mm), 2);
	assert_int_equal(info_of(a).used, 0);
	verify(a->s, &a->mm, 1);
}

/* The soft-dirty mark of an entry goes to swap with it, and comes back; no other page gets one. */
static void
soft_dirty_comes_back(void **state)
{
	struct area *a = *state;
	gw_vaddr_t at = map(a->mm, 2);
	gw_atomic_u64 *word;
	gw_spinlock *lock;

	poke(a->mm, at, 5);
	poke(a->mm, at + PAGE, 6);
	word = gw_pte_lock(a->mm, at + PAGE, &lock);
	gw_u64_and_relaxed(word, ~(uint64_t)GW_PTE_SOFT_DIRTY);
	gw_spin_unlock(lock);
	push_out(a, a->mm, at, false);
	push_out(a, a->mm, at + PAGE, false);
	assert_true(entry_of(a->mm, at) & GW_PTE_SOFT_DIRTY);
	assert_int_equal(peek(a->mm, at), 5);
	assert_int_equal(peek(a->mm, at + PAGE), 6);
	assert_true(entry_of(a->mm, at) & GW_PTE_SOFT_DIRTY);
	assert_false(entry_of(a->mm, at + PAGE) & GW_PTE_SOFT_DIRTY);
	verify(a->s, &a->mm, 1);
}

/* From the swap cache it comes back without I/O, the very page. */
static void
comes_back_from_the_cache(void **state)
{
	struct area *a = *state;
	gw_vaddr_t at = map(a->mm, 1);
	uint64_t major = event(a, GW_VM_PGMAJFAULT);
	gw_pfn_t page;

	poke(a->mm, at, 5);
	page = page_of(a->mm, at);
	push_out(a, a->mm, at, true);
	assert_int_equal(info_of(a).cached, 1);
	assert_int_equal(peek(a->mm, at), 5);
	assert_int_equal(page_of(a->mm, at), page);
	assert_int_equal(gw_u32_load_relaxed(&a->reads), 0);
	assert_int_equal(event(a, GW_VM_PGMAJFAULT), major);
	verify(a->s, &a->mm, 1);
}

/* What the area cannot read the access is told; another try may work. */
static void
read_error(void **state)
{
	struct area *a = *state;
	gw_vaddr_t at = map(a->mm, 1);
	uint64_t value;

	poke(a->mm, at, 5);
	push_out(a, a->mm, at, false);
	a->read_error = -EIO;
	assert_int_equal(gw_cpu_load(a->mm, at, &value), -EIO);
	assert_int_equal(gw_cpu_store(a->mm, at, 1), -EIO);
	verify(a->s, &a->mm, 1);
	a->read_error = 0;
	assert_int_equal(peek(a->mm, at), 5);
}

/* A page that comes back is charged to who brings it. */
static void
coming_back_is_charged(void **state)
{
	struct area *a = *state;
	gw_vaddr_t at = map(a->mm, 1);
	struct gw_memcg *memcg = NULL;
	uint64_t value;

	assert_int_equal(gw_memcg_create(a->s->m, 0, &memcg), 0);
	poke(a->mm, at, 5);
	push_out(a, a->mm, at, false);
	gw_mm_set_memcg(a->mm, memcg);
	assert_int_equal(gw_cpu_load(a->mm, at, &value), -ENOMEM);
	gw_memcg_set_limit(memcg, 1);
	assert_int_equal(peek(a->mm, at), 5);
	assert_int_equal(gw_memcg_usage(memcg), 1);
	gw_mm_set_memcg(a->mm, NULL);
	gw_memcg_put(memcg);
}

/* ---- sharing ---- */

/* fork shares what is swapped out. One page serves both, found by rmap in both (Q2), until one
 * writes; a page whose slot another entry names is not written in place. */
static void
forked_entries_share(void **state)
{
	struct area *a = *state;
	gw_vaddr_t at = map(a->mm, 1);
	struct gw_mm *both[2] = {a->mm};
	gw_pfn_t page;

	poke(a->mm, at, 5);
	push_out(a, a->mm, at, false);
	both[1] = fork_space(a->mm);
	assert_int_equal(gw_swap_count(a->s->m, gw_pte_slot(entry_of(both[1], at))), 2);
	verify(a->s, both, 2);
	assert_int_equal(peek(both[1], at), 5); /* the child first: not its own anon_vma's page */
	page = page_of(both[1], at);
	assert_int_equal(info_of(a).cached, 1);
	assert_int_equal(peek(both[0], at), 5);
	assert_int_equal(page_of(both[0], at), page);
	assert_int_equal(places_of(a->s, page).n, 2);
	assert_int_equal(gw_u32_load_relaxed(&a->reads), 1);
	verify(a->s, both, 2);
	poke(both[1], at, 6);
	assert_int_not_equal(page_of(both[1], at), page);
	assert_int_equal(peek(both[0], at), 5);
	verify(a->s, both, 2);
	gw_mm_put(both[1]);
}

/* The writer comes first: the slot is still the other's, so the page is copied. */
static void
writer_copies_what_a_slot_needs(void **state)
{
	struct area *a = *state;
	gw_vaddr_t at = map(a->mm, 1);
	struct gw_mm *both[2] = {a->mm};

	for (unsigned cached = 0; cached < 2; cached++) {
		poke(a->mm, at, 5);
		push_out(a, a->mm, at, cached);
		both[1] = fork_space(a->mm);
		poke(both[1], at, 6);
		verify(a->s, both, 2);
		assert_int_equal(peek(both[0], at), 5);
		poke(both[0], at, 7);
		assert_int_equal(peek(both[1], at), 6);
		assert_int_equal(info_of(a).used, 0);
		verify(a->s, both, 2);
		gw_mm_put(both[1]);
	}
}

/* The reader comes first: the writer's is the slot's last entry, and the page is mapped already. */
static void
writer_copies_what_a_reader_maps(void **state)
{
	struct area *a = *state;
	gw_vaddr_t at = map(a->mm, 1);
	struct gw_mm *both[2] = {a->mm};
	gw_pfn_t page;

	poke(a->mm, at, 5);
	push_out(a, a->mm, at, true);
	both[1] = fork_space(a->mm);
	assert_int_equal(peek(both[0], at), 5);
	page = page_of(both[0], at);
	assert_int_equal(gw_swap_count(a->s->m, gw_pte_slot(entry_of(both[1], at))), 1);
	poke(both[1], at, 6);
	assert_int_not_equal(page_of(both[1], at), page);
	assert_int_equal(peek(both[0], at), 5);
	assert_int_equal(info_of(a).used, 0);
	verify(a->s, both, 2);
	gw_mm_put(both[1]);
}

/* R3: a page in the swap cache whose first owners have gone belongs to who maps it. */
static void
owner_may_be_gone(void **state)
{
	struct area *a = *state;
	struct gw_mm *parent = new_space(a->s), *both[2];
	gw_vaddr_t at = map(parent, 1);

	poke(parent, at, 4);
	both[0] = fork_space(parent);
	poke(both[0], at, 5); /* a page of the child's own anon_vma */
	push_out(a, both[0], at, true);
	both[1] = fork_space(both[0]);
	gw_mm_put(parent);
	gw_mm_put(both[0]);
	gw_rcu_barrier();
	assert_int_equal(peek(both[1], at), 5);
	verify(a->s, &both[1], 1);
	poke(both[1], at, 6);
	gw_mm_put(both[1]);
}

/* ---- what happens to entries that name a slot ---- */

/* They go with their range, and slots and cached pages with them. */
static void
zapped(void **state)
{
	struct area *a = *state;
	gw_vaddr_t at = map(a->mm, 6);

	for (unsigned i = 0; i < 6; i++) {
		poke(a->mm, at + i * PAGE, i);
		push_out(a, a->mm, at + i * PAGE, i % 2);
	}
	assert_int_equal(info_of(a).used, 6);
	assert_int_equal(gw_munmap(a->mm, at, 2 * PAGE), 0);
	assert_int_equal(info_of(a).used, 4);
	assert_int_equal(info_of(a).cached, 2);
	assert_int_equal(gw_madvise(a->mm, at + 2 * PAGE, 2 * PAGE, GW_MADV_DONTNEED), 0);
	assert_int_equal(info_of(a).used, 2);
	assert_int_equal(info_of(a).cached, 1);
	assert_int_equal(peek(a->mm, at + 2 * PAGE), 0);
	verify(a->s, &a->mm, 1);
	gw_mm_put(a->mm);
	a->mm = new_space(a->s);
	assert_int_equal(info_of(a).used, 0);
	assert_int_equal(info_of(a).cached, 0);
}

/* They move with mremap, and give no access that a mprotect took. */
static void
moved_and_protected(void **state)
{
	struct area *a = *state;
	gw_vaddr_t at = map(a->mm, 4), to = 0;
	uint64_t value;

	for (unsigned i = 0; i < 4; i++) {
		poke(a->mm, at + i * PAGE, i);
		push_out(a, a->mm, at + i * PAGE, false);
	}
	map_at(a->mm, at + 4 * PAGE, 1);
	assert_int_equal(gw_mremap(a->mm, at, 4 * PAGE, 8 * PAGE, &to), 0);
	assert_int_not_equal(to, at);
	verify(a->s, &a->mm, 1);
	assert_int_equal(gw_mprotect(a->mm, to, PAGE, GW_PROT_NONE), 0);
	assert_int_equal(gw_mprotect(a->mm, to + PAGE, PAGE, GW_PROT_READ), 0);
	assert_int_equal(gw_cpu_load(a->mm, to, &value), -EFAULT);
	assert_int_equal(peek(a->mm, to + PAGE), 1);
	assert_int_equal(gw_cpu_store(a->mm, to + PAGE, 9), -EFAULT);
	assert_int_equal(gw_mprotect(a->mm, to, 2 * PAGE, READWRITE), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(peek(a->mm, to + i * PAGE), i);
	verify(a->s, &a->mm, 1);
}

static void
truncate_file(struct area *a)
{
	struct gw_task other;

	a->on_read = NULL;
	assert_int_equal(gw_task_attach(&other, a->s->m, 1), 0);
	assert_int_equal(gw_mapping_truncate(a->file, 0), 0);
	gw_task_detach(&other);
}

/* Q1 (R10, R16): an entry that went while its page was read in stays away, and the page goes. */
static void
entry_is_compared_again(void **state)
{
	struct area *a = *state;
	struct store *store = store_create();
	gw_vaddr_t at = 0;

	a->file = file_on(a->s, store);
	assert_int_equal(gw_mmap_file(a->mm, 0, PAGE, READWRITE, 0, a->file, 0, &at), 0);
	poke(a->mm, at, 5); /* a private copy, which truncation takes */
	push_out(a, a->mm, at, false);
	a->on_read = truncate_file;
	assert_int_equal(gw_fault(a->mm, at, GW_ACCESS_READ), 0);
	assert_int_equal(gw_u32_load_relaxed(&a->reads), 1);
	assert_int_equal(entry_of(a->mm, at), 0);
	assert_int_equal(info_of(a).used, 0);
	assert_int_equal(info_of(a).cached, 0);
	assert_int_equal(gw_cpu_store(a->mm, at, 1), -EFAULT);
	verify(a->s, &a->mm, 1);
	assert_int_equal(gw_munmap(a->mm, at, PAGE), 0);
	file_put(a->file);
	store_destroy(store);
}

/* ---- memory that is not there ---- */

/* Out, fork, and back on both sides: the first error, or 0. All is given up again. */
static int
use_swap(struct gw_machine *m)
{
	struct gw_mm *mm = NULL, *child = NULL;
	gw_vaddr_t at = 0;
	int err = gw_mm_create(m, &mm);

	if (err)
		return err;
	err = gw_mmap(mm, 0, 4 * PAGE, READWRITE, 0, &at);
	for (unsigned i = 0; i < 4 && !err; i++) {
		gw_pfn_t page;

		err = gw_fault(mm, at + i * PAGE, GW_ACCESS_WRITE);
		if (err)
			break;
		gw_lru_add_drain_all(m);
		page = page_of(mm, at + i * PAGE);
		gw_get_page(m, page);
		gw_page_lock(m, page);
		err = send_out(m, page);
		if (!err)
			gw_swap_cache_delete(m, page);
		gw_swap_page_unlock(m, page);
		gw_put_page(m, page);
	}
	if (!err)
		err = gw_mm_fork(mm, &child);
	for (unsigned i = 0; i < 4 && !err; i++) {
		err = gw_fault(mm, at + i * PAGE, i % 2 ? GW_ACCESS_READ : GW_ACCESS_WRITE);
		if (!err)
			err = gw_fault(child, at + i * PAGE, GW_ACCESS_WRITE);
	}
	if (child)
		gw_mm_put(child);
	gw_mm_put(mm);
	return err;
}

/* Whichever allocation fails, the call says -ENOMEM, and no slot or page is left behind. */
static void
survives_each_failed_allocation(void **state)
{
	struct area *a = calloc(1, sizeof(*a));
	struct fixture *f = fixture_create(512, 1, 4);
	uint64_t frames, bytes;
	struct gw_swap_info info;
	unsigned k = 0;
	int err;

	(void)state;
	assert_int_equal(gw_swap_on(f->m, &area_ops, a, SLOTS), 0);
	assert_int_equal(use_swap(f->m), 0); /* the zero page */
	gw_lru_add_drain_all(f->m);
	gw_rcu_barrier();
	frames = fixture_free_frames(f);
	bytes = gw_u64_load_relaxed(&f->live_bytes);
	do {
		f->fail_at = gw_u64_load_relaxed(&f->allocations) + ++k;
		err = use_swap(f->m);
		f->fail_at = 0;
		assert_true(err == 0 || err == -ENOMEM);
		gw_lru_add_drain_all(f->m);
		gw_rcu_barrier();
		gw_swap_info(f->m, &info);
		assert_int_equal(info.used, 0);
		assert_int_equal(fixture_free_frames(f), frames);
		assert_int_equal(gw_u64_load_relaxed(&f->live_bytes), bytes);
		fixture_check(f);
	} while (err);
	assert_true(k > 10);
	assert_int_equal(gw_swap_off(f->m), 0);
	fixture_destroy(f);
	free(a);
}

/* ---- threads ---- */

#define PAGES 24
#define FORKS 100
#define OUTS  1000

struct adder {
	struct area *a;
	gw_vaddr_t at;
	uint64_t seed;
	uint64_t adds[PAGES]; /* to the first word of each page */
	gw_atomic_u32 done;
};

static void
add_one(struct adder *t)
{
	uint64_t i = test_random(&t->seed) % PAGES;

	assert_int_equal(gw_cpu_add(t->a->mm, t->at + i * PAGE, 1, NULL), 0);
	t->adds[i]++;
}

static void *
add_on_and_on(void *arg)
{
	struct adder *t = arg;
	struct gw_task task;

	assert_int_equal(gw_task_attach(&task, t->a->s->m, 1), 0);
	while (!gw_u32_load_acquire(&t->done))
		add_one(t);
	gw_task_detach(&task);
	return NULL;
}

/* The page at addr goes out if its users let it. */
static bool
try_push_out(struct area *a, struct gw_mm *mm, gw_vaddr_t addr)
{
	struct gw_machine *m = a->s->m;
	gw_spinlock *lock;
	gw_atomic_u64 *entry = gw_pte_lock(mm, addr, &lock);
	gw_pte_t pte = entry ? gw_u64_load_relaxed(entry) : 0;
	bool there = pte & GW_PTE_PRESENT && !(pte & GW_PTE_ZERO), out = false;
	gw_pfn_t page = gw_pte_pfn(pte);

	if (there)
		gw_get_page(m, page);
	if (entry)
		gw_spin_unlock(lock);
	if (!there)
		return false;
	gw_page_lock(m, page);
	if (gw_page_mapped(m, page) && send_out(m, page) == 0 && is_out(m, page)) {
		gw_swap_cache_delete(m, page);
		out = true;
	}
	gw_swap_page_unlock(m, page);
	gw_put_page(m, page);
	return out;
}

static unsigned
push_some(struct area *a, gw_vaddr_t at, uint64_t *random)
{
	unsigned out = 0;

	for (unsigned i = 0; i < PAGES; i++)
		out += try_push_out(a, a->mm, at + test_random(random) % PAGES * PAGE);
	return out;
}

/* A child's page stays what it was when the child began, also when it goes out. */
static unsigned
share_and_check(struct area *a, gw_vaddr_t addr)
{
	struct gw_mm *child = fork_space(a->mm);
	uint64_t value = peek(child, addr);
	unsigned out = try_push_out(a, child, addr);

	assert_int_equal(peek(child, addr), value);
	poke(child, addr, 0);
	gw_mm_put(child);
	return out;
}

/* Pages go out while two CPUs write to them, and while forks share them: no addition is lost, a
 * child keeps what it has. */
static void
nothing_is_lost(void **state)
{
	struct area *a = *state;
	uint64_t random = test_seed();
	struct adder here = {.a = a, .at = map(a->mm, PAGES), .seed = random + 1};
	struct adder there = {.a = a, .at = here.at, .seed = random + 2};
	unsigned out = 0, forks = 0;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, add_on_and_on, &there), 0);
	while (out < OUTS || forks < FORKS) {
		out += push_some(a, here.at, &random);
		if (forks < FORKS) {
			out += share_and_check(a, here.at + test_random(&random) % PAGES * PAGE);
			forks++;
		}
		for (unsigned i = 0; i < PAGES / 4; i++)
			add_one(&here);
	}
	gw_u32_store_release(&there.done, 1);
	pthread_join(thread, NULL);
	print_message("# %u pages went out, %u forks\n", out, forks);
	verify(a->s, &a->mm, 1);
	for (unsigned i = 0; i < PAGES; i++)
		assert_int_equal(peek(a->mm, here.at + i * PAGE), here.adds[i] + there.adds[i]);
	verify(a->s, &a->mm, 1);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(comes_back),
		TEST(comes_back_from_the_cache),
		TEST(soft_dirty_comes_back),
		TEST(read_error),
		TEST(coming_back_is_charged),
		TEST(forked_entries_share),
		TEST(writer_copies_what_a_slot_needs),
		TEST(writer_copies_what_a_reader_maps),
		TEST(owner_may_be_gone),
		TEST(zapped),
		TEST(moved_and_protected),
		TEST(entry_is_compared_again),
		cmocka_unit_test(survives_each_failed_allocation),
		TEST(nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
