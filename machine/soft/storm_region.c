/* SPDX-License-Identifier: MIT */
/*
 * storm_region.c - the storm's bytes: writing words that say what they are, and looking at them
 * again.
 */
#include <stdlib.h>

#include "machine/soft/storm_internal.h"

int
storm_region_init(struct storm_region *r, unsigned pages)
{
	r->pages = pages;
	r->words = malloc(pages * WORDS_PER_PAGE * sizeof(*r->words));
	if (!r->words)
		return -ENOMEM;
	pthread_mutex_init(&r->mutex, NULL);
	return 0;
}

void
storm_region_destroy(struct storm_region *r)
{
	if (!r->words)
		return;
	pthread_mutex_destroy(&r->mutex);
	free(r->words);
}

static void
know(struct storm_word *word, uint32_t version)
{
	gw_u32_store_relaxed(&word->min, version);
	gw_u32_store_relaxed(&word->max, version);
}

void
storm_region_forget(struct storm_region *r, unsigned first, unsigned end)
{
	for (size_t i = first * WORDS_PER_PAGE; i < end * WORDS_PER_PAGE; i++)
		know(&r->words[i], 0);
}

static uint64_t
make_word(const struct storm_region *r, size_t index, uint32_t version)
{
	uint64_t x = (uint64_t)r->id << 32 | (uint32_t)(r->id ? index : index % WORDS_PER_PAGE);

	x = (x ^ x >> 29) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 32) * 0x94d049bb133111ebu;
	return (x & 0xffffffff00000000u) | version;
}

static gw_vaddr_t
word_address(const struct storm_region *r, size_t index)
{
	return r->base + index * sizeof(uint64_t);
}

static void
lost_word(struct storm *s, const struct storm_program *p, const struct storm_region *r,
	size_t index, uint64_t found)
{
	uint32_t min = gw_u32_load_relaxed(&r->words[index].min);
	uint32_t max = gw_u32_load_relaxed(&r->words[index].max);

	storm_lost(s,
		"address space %u, %#llx: found %#llx, written was %#llx (or up to version %u; "
		"region %u, page %zu, word %zu)",
		p ? gw_mm_id(p->mm) : 0, (unsigned long long)word_address(r, index),
		(unsigned long long)found, (unsigned long long)(min ? make_word(r, index, min) : 0),
		max, r->id, index / WORDS_PER_PAGE, index % WORDS_PER_PAGE);
}

static bool
check_word(struct storm *s, const struct storm_program *p, struct storm_region *r, size_t index,
	uint64_t found)
{
	struct storm_word *word = &r->words[index];
	uint32_t version = (uint32_t)found;
	uint32_t min = gw_u32_load_relaxed(&word->min), max = gw_u32_load_relaxed(&word->max);

	if (version < min || version > max ||
		found != (version ? make_word(r, index, version) : 0)) {
		lost_word(s, p, r, index, found);
		return false;
	}
	if (min != max)
		know(word, version);
	return true;
}

static bool
may_pool_be_empty(const struct storm_program *p, gw_vaddr_t addr)
{
	const struct storm_region *r = &p->regions[STORM_HUGETLB];
	bool bound = gw_current()->policy.mode == GW_POLICY_BIND;

	return (bound || gw_u32_load_relaxed(&p->pool_may_fail)) && addr >= r->base &&
	       addr < word_address(r, r->end * WORDS_PER_PAGE);
}

/* An access failed: for want of memory, or because something is lost. */
static void
access_failed(struct storm_thread *t, const struct storm_program *p, gw_vaddr_t addr,
	const char *what, int err)
{
	if (err == -ENOMEM)
		storm_no_memory(t);
	else if (err != -EFAULT || !may_pool_be_empty(p, addr))
		storm_lost(t->s, "address space %u, %#llx: %s refused (error %d)", gw_mm_id(p->mm),
			(unsigned long long)addr, what, -err);
}

bool
storm_check_page(struct storm_thread *t, const struct storm_program *p, struct storm_region *r,
	unsigned page)
{
	size_t first = page * WORDS_PER_PAGE;

	for (size_t i = 0; i < WORDS_PER_PAGE; i++)
		if (!check_word(t->s, p, r, first + i, t->buf[i]))
			return false;
	gw_u64_add_relaxed(&t->s->words, WORDS_PER_PAGE);
	return true;
}

static bool
verify_page(struct storm_thread *t, struct storm_program *p, struct storm_region *r, unsigned page)
{
	gw_vaddr_t addr = word_address(r, page * WORDS_PER_PAGE);
	int err = gw_cpu_read(p->mm, addr, t->buf, GW_PAGE_SIZE);

	if (err) {
		access_failed(t, p, addr, "read", err);
		return false;
	}
	return storm_check_page(t, p, r, page);
}

bool
storm_verify(struct storm_thread *t, struct storm_program *p, struct storm_region *r,
	unsigned first, unsigned end)
{
	for (unsigned page = first; page < end; page++)
		if (!verify_page(t, p, r, page))
			return false;
	return true;
}

/* Words here and there: mostly hits. */
static bool
verify_words(struct storm_thread *t, struct storm_program *p, struct storm_region *r)
{
	for (unsigned i = 0; i < 64; i++) {
		unsigned page = r->first + storm_below(t, r->end - r->first);
		size_t index = page * WORDS_PER_PAGE + storm_below(t, WORDS_PER_PAGE);
		uint64_t found = 0;
		int err = gw_cpu_load(p->mm, word_address(r, index), &found);

		if (err) {
			access_failed(t, p, word_address(r, index), "load", err);
			return false;
		}
		if (!check_word(t->s, p, r, index, found))
			return false;
	}
	gw_u64_add_relaxed(&t->s->words, 64);
	return true;
}

bool
storm_verify_some(struct storm_thread *t, struct storm_program *p, struct storm_region *r)
{
	unsigned first, n;

	if (r->first == r->end)
		return true;
	if (storm_below(t, 2))
		return verify_words(t, p, r);
	first = r->first + storm_below(t, r->end - r->first);
	n = 1 + storm_below(t, 8);
	return storm_verify(t, p, r, first, first + n < r->end ? first + n : r->end);
}

static uint32_t
begin_version(struct storm_region *r)
{
	uint32_t version = gw_u32_load_relaxed(&r->begun) + 1;

	gw_u32_store_relaxed(&r->begun, version);
	gw_fence_seq_cst(); /* a fork that copies our bytes finds `begun` raised */
	return version;
}

static void
end_version(struct storm_region *r, uint32_t version)
{
	gw_u32_store_release(&r->done, version); /* a fork that reads it knows the words */
}

static void
make_words(struct storm_thread *t, const struct storm_region *r, size_t first, size_t n,
	uint32_t version)
{
	for (size_t i = 0; i < n; i++)
		t->buf[i] = make_word(r, first + i, version);
}

static void
know_words(struct storm_region *r, size_t first, size_t n, uint32_t version, int err)
{
	for (size_t i = first; i < first + n; i++) {
		if (err) /* the first page may be written, the second not */
			gw_u32_store_relaxed(&r->words[i].max, version);
		else
			know(&r->words[i], version);
	}
}

uint32_t
storm_make_words(struct storm_thread *t, struct storm_region *r, size_t first, size_t n)
{
	uint32_t version = begin_version(r);

	make_words(t, r, first, n, version);
	return version;
}

void
storm_know_words(struct storm_region *r, size_t first, size_t n, uint32_t version, int err)
{
	know_words(r, first, n, version, err);
	end_version(r, version);
}

bool
storm_write_same(struct storm_thread *t, struct storm_program *p, struct storm_region *r)
{
	uint32_t version = begin_version(r);
	int err = 0;

	for (unsigned i = 0; i < 8 && r->first < r->end && !err; i++) {
		size_t first = (r->first + storm_below(t, r->end - r->first)) * WORDS_PER_PAGE;

		make_words(t, r, first, WORDS_PER_PAGE, version);
		err = gw_cpu_write(p->mm, word_address(r, first), t->buf, GW_PAGE_SIZE);
		know_words(r, first, WORDS_PER_PAGE, version, err);
		if (err)
			access_failed(t, p, word_address(r, first), "write", err);
	}
	end_version(r, version);
	return err == 0;
}

/* Write words [first, first + n), at most a page's worth, with a new version. */
static int
write_words(struct storm_thread *t, struct storm_program *p, struct storm_region *r, size_t first,
	size_t n)
{
	uint32_t version = storm_make_words(t, r, first, n);
	gw_vaddr_t addr = word_address(r, first);
	int err = n == 1 ? gw_cpu_store(p->mm, addr, t->buf[0])
			 : gw_cpu_write(p->mm, addr, t->buf, n * sizeof(t->buf[0]));

	storm_know_words(r, first, n, version, err);
	return err;
}

bool
storm_write(struct storm_thread *t, struct storm_program *p, struct storm_region *r)
{
	static const size_t sizes[] = {1, 1, 7, 64, WORDS_PER_PAGE};

	if (r->first == r->end)
		return true;
	for (unsigned i = 0; i < 16; i++) {
		size_t n = sizes[storm_below(t, sizeof(sizes) / sizeof(sizes[0]))];
		size_t room = (r->end - r->first) * WORDS_PER_PAGE - n + 1;
		size_t first = r->first * WORDS_PER_PAGE + storm_below(t, (unsigned)room);
		int err = write_words(t, p, r, first, n);

		if (err) {
			access_failed(t, p, word_address(r, first), "write", err);
			return false;
		}
	}
	return true;
}

void
storm_expect_fault(
	struct storm_thread *t, struct storm_program *p, gw_vaddr_t addr, enum gw_access access)
{
	uint64_t value = 0;
	int err = access == GW_ACCESS_READ ? gw_cpu_load(p->mm, addr, &value)
					   : gw_cpu_store(p->mm, addr, UINT64_MAX);

	if (err == -EFAULT)
		gw_u64_add_relaxed(&t->s->faults_expected, 1);
	else if (err == -ENOMEM) /* of a private copy, before the file's end was looked at */
		storm_no_memory(t);
	else
		storm_lost(t->s, "address space %u, %#llx: a %s that must be refused gave %d",
			gw_mm_id(p->mm), (unsigned long long)addr,
			access == GW_ACCESS_READ ? "read" : "write", err);
}

/* Several threads at once: no lock. */
bool
storm_add(struct storm_thread *t, struct storm_program *p)
{
	for (unsigned i = 0; i < 64; i++) {
		unsigned counter = storm_below(t, STORM_COUNTERS);
		gw_vaddr_t addr = p->counters + counter * sizeof(uint64_t);
		int err = gw_cpu_add(p->mm, addr, 1, NULL);

		if (err) {
			access_failed(t, p, addr, "add", err);
			return false;
		}
		gw_u64_add_relaxed(&p->added[counter], 1);
	}
	return true;
}
