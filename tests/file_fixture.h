/* SPDX-License-Identifier: MIT */
/*
 * file_fixture.h - a store of pages that tests look into and let fail, and files on it.
 *
 * Idea. Bytes in memory, counted calls, a page that cannot be read or written, and a hook in the
 * middle of a write, where the page is under writeback and unlocked.
 */
#ifndef GODWIT_FILE_FIXTURE_H
#define GODWIT_FILE_FIXTURE_H

#include "engine/store/store.h"
#include "mm_fixture.h"

#define STORE_PAGES 64

struct store {
	uint8_t bytes[STORE_PAGES][PAGE];
	gw_atomic_u32 reads, writes;
	uint64_t bad_read, bad_write; /* this page says -EIO; UINT64_MAX: none */
	uint64_t end;		      /* the last truncation's */
	bool released;
	void (*on_write)(struct store *store, uint64_t index);
	void *arg; /* the hook's */
};

extern const struct gw_backing_ops store_ops;

/* The store's bytes begin as a pattern of the page and the byte. Freed by store_destroy(). */
struct store *store_create(void);
void store_destroy(struct store *store);
uint8_t pattern(uint64_t index, size_t byte);

/* A file of STORE_PAGES pages on the store. */
struct gw_mapping *file_on(struct spaces *s, struct store *store);
/* The caller's was the last reference; its memory is gone when this returns. */
void file_put(struct gw_mapping *file);

/* Flags of the page of the cache at index; asserts that it is there. */
uint32_t cached_flags(struct gw_mapping *file, uint64_t index);

/* Asserts that the file's page says `value` in all its bytes, read through the cache. */
void assert_page(struct gw_mapping *file, uint64_t index, uint8_t value);
void fill_page(struct gw_mapping *file, uint64_t index, uint8_t value);

#endif
