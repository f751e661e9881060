/* SPDX-License-Identifier: MIT */
/*
 * arena.c - memory that one copy resets, and that knows what was freed.
 *
 * Idea. Blocks are cut from the front of a region and never used again in a run, so an address
 * names one block for good; a table says for every 16 bytes which. What is freed is filled with a
 * pattern: a pointer read from it leads nowhere, and what was written to it shows at the end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "explore/explore_internal.h"

#define SETUP_BYTES ((size_t)16 << 20)
#define TASK_BYTES  ((size_t)1 << 20)
#define POISON	    0xdb /* no address begins like this */

int
gw_x_arena_init(struct gw_x_arena *a)
{
	size_t bytes = SETUP_BYTES + (GW_X_REGIONS - 1) * TASK_BYTES;
	size_t owners = bytes / GW_X_GRANULE * sizeof(*a->owners);
	char *p = mmap(NULL, bytes + owners, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -ENOMEM;
	a->memory = p;
	a->bytes = bytes;
	a->owners = (uint32_t *)(void *)(p + bytes);
	for (unsigned i = 0; i < GW_X_REGIONS; i++) {
		a->regions[i].bytes = i == GW_X_REGION_SETUP ? SETUP_BYTES : TASK_BYTES;
		a->regions[i].start = p;
		p += a->regions[i].bytes;
	}
	a->n_blocks = 1; /* 0 is none */
	return 0;
}

void
gw_x_arena_destroy(struct gw_x_arena *a)
{
	if (a->memory)
		munmap(a->memory, a->bytes + a->bytes / GW_X_GRANULE * sizeof(*a->owners));
	free(a->blocks);
	free(a->freed);
	free(a->image);
}

bool
gw_x_arena_has(const struct gw_x_arena *a, uintptr_t address)
{
	return address - (uintptr_t)a->memory < a->bytes;
}

static uint32_t *
owner_of(const struct gw_x_arena *a, uintptr_t address)
{
	return &a->owners[(address - (uintptr_t)a->memory) / GW_X_GRANULE];
}

struct gw_x_block *
gw_x_arena_block(struct gw_x_arena *a, uintptr_t address)
{
	uint32_t i = *owner_of(a, address);

	return i ? &a->blocks[i] : NULL;
}

void *
gw_x_arena_alloc(struct gw_x_arena *a, unsigned region, size_t bytes, size_t align)
{
	struct gw_x_region *r = &a->regions[region];
	size_t rounded = (bytes + GW_X_GRANULE - 1) / GW_X_GRANULE * GW_X_GRANULE;
	size_t at = (r->used + align - 1) / align * align;

	if (bytes > UINT32_MAX || at > r->bytes || rounded + GW_X_GRANULE > r->bytes - at)
		return NULL;
	if (!gw_x_grow(&a->blocks, &a->room_blocks, a->n_blocks, sizeof(*a->blocks)))
		return NULL;
	r->used = at + rounded + GW_X_GRANULE; /* a gap behind it that is nobody's */
	a->blocks[a->n_blocks] =
		(struct gw_x_block){.start = r->start + at, .bytes = (uint32_t)bytes};
	for (size_t i = 0; i < rounded; i += GW_X_GRANULE)
		*owner_of(a, (uintptr_t)r->start + at + i) = a->n_blocks;
	a->n_blocks++;
	a->live++;
	memset(r->start + at, 0, rounded);
	return r->start + at;
}

struct gw_x_block *
gw_x_arena_free(struct gw_x_arena *a, void *p)
{
	struct gw_x_block *block;

	if (!gw_x_arena_has(a, (uintptr_t)p))
		return NULL;
	block = gw_x_arena_block(a, (uintptr_t)p);
	if (!block || block->freed || block->start != p)
		return NULL;
	if (!gw_x_grow(&a->freed, &a->room_freed, a->n_freed, sizeof(*a->freed)))
		return NULL;
	a->freed[a->n_freed++] = (uint32_t)(block - a->blocks);
	block->freed = true;
	memset(block->start, POISON, block->bytes);
	a->live--;
	return block;
}

const struct gw_x_block *
gw_x_arena_overwritten(const struct gw_x_arena *a)
{
	for (uint32_t i = 0; i < a->n_freed; i++) {
		const struct gw_x_block *block = &a->blocks[a->freed[i]];

		for (uint32_t j = 0; j < block->bytes; j++)
			if ((unsigned char)block->start[j] != POISON)
				return block;
	}
	return NULL;
}

int
gw_x_arena_keep(struct gw_x_arena *a)
{
	size_t used = a->regions[GW_X_REGION_SETUP].used;

	a->image = malloc(used ? used : 1);
	if (!a->image)
		return -ENOMEM;
	memcpy(a->image, a->memory, used);
	a->image_blocks = a->n_blocks;
	a->image_live = a->live;
	a->n_freed = 0; /* what setup() freed stays so */
	return 0;
}

void
gw_x_arena_reset(struct gw_x_arena *a)
{
	for (uint32_t i = 0; i < a->n_freed; i++)
		a->blocks[a->freed[i]].freed = false;
	a->n_freed = 0;
	for (uint32_t i = a->image_blocks; i < a->n_blocks; i++) {
		const struct gw_x_block *block = &a->blocks[i];

		for (uint32_t j = 0; j < block->bytes; j += GW_X_GRANULE)
			*owner_of(a, (uintptr_t)block->start + j) = 0;
	}
	a->n_blocks = a->image_blocks;
	a->live = a->image_live;
	for (unsigned i = GW_X_REGION_TASK; i < GW_X_REGIONS; i++)
		a->regions[i].used = 0;
	memcpy(a->memory, a->image, a->regions[GW_X_REGION_SETUP].used);
}

bool
gw_x_grow(void *array, uint32_t *room, uint32_t n, size_t size)
{
	void **p = array;
	uint32_t more = *room ? *room * 2 : 64;
	void *grown;

	if (__builtin_expect(n < *room, 1))
		return true;
	grown = realloc(*p, more * size);
	if (!grown)
		return false;
	*p = grown;
	*room = more;
	return true;
}
