/* SPDX-License-Identifier: MIT */
/*
 * test_rmap.c - anon_vmas, their links, and the walk (FACTS D2, D3, R1, R2, R5, R8).
 *
 * The VMAs are made by hand and have no page tables: a walk is asked only where it looks.
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "machine_fixture.h"
#include "engine/virt/rmap.h"

#define FRAMES 256
#define SPACES 8

struct world {
	struct fixture *f;
	struct gw_mm spaces[SPACES];
	struct gw_vma vmas[SPACES]; /* one in each; start: see setup() */
};

static gw_vaddr_t
start_of(unsigned i)
{
	return (gw_vaddr_t)(i + 1) << 32;
}

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->f = fixture_create(FRAMES, 1, 4);
	for (unsigned i = 0; i < SPACES; i++) {
		w->spaces[i].machine = w->f->m;
		gw_spin_init(&w->spaces[i].table_lock, GW_RANK_PAGETABLE);
		w->vmas[i].mm = &w->spaces[i];
		w->vmas[i].node.start = start_of(i);
		w->vmas[i].node.end = start_of(i) + 16 * GW_PAGE_SIZE;
		gw_u64_store_relaxed(&w->vmas[i].pgoff, 100);
	}
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < SPACES; i++)
		gw_anon_vma_unlink(&w->vmas[i]);
	assert_int_equal(fixture_free_frames(w->f), FRAMES);
	fixture_destroy(w->f); /* every anon_vma and link was given back */
	free(w);
	return 0;
}

static struct gw_anon_vma *
anon_vma_of(const struct gw_vma *vma)
{
	return gw_ptr_load_relaxed(&vma->anon_vma);
}

/* A page of VMA i at its page number `n`, mapped once. */
static gw_pfn_t
new_page(struct world *w, unsigned i, unsigned n)
{
	struct gw_vma *vma = &w->vmas[i];
	gw_pfn_t page = fixture_alloc(w->f, 0);

	assert_int_equal(gw_anon_vma_prepare(vma), 0);
	gw_rmap_new_anon(w->f->m, page, vma, gw_vma_start(vma) + n * GW_PAGE_SIZE);
	return page;
}

static void
free_page(struct world *w, gw_pfn_t page)
{
	while (gw_page_mapped(w->f->m, page))
		gw_rmap_remove(w->f->m, page);
	gw_put_page(w->f->m, page);
}

/* Where a walk looked. */
struct places {
	unsigned n, limit;
	const struct gw_vma *vma[SPACES];
	gw_vaddr_t addr[SPACES];
};

static bool
note_place(struct gw_rmap_walk *walk, struct gw_vma *vma, gw_vaddr_t addr)
{
	struct places *places = walk->ctx;

	assert_true(places->n < SPACES);
	places->vma[places->n] = vma;
	places->addr[places->n] = addr;
	places->n++;
	return places->n != places->limit;
}

static struct places
walk_places(struct world *w, gw_pfn_t page, unsigned limit)
{
	struct gw_machine *m = w->f->m;
	struct places places = {.limit = limit};
	struct gw_rmap_walk walk = {.visit = note_place, .page = page, .ctx = &places};
	struct gw_anon_vma *anon_vma;

	gw_page_lock(m, page);
	anon_vma = gw_page_get_anon_vma(m, page);
	assert_non_null(anon_vma);
	walk.anon_vma = anon_vma;
	gw_rmap_walk(m, &walk);
	gw_anon_vma_put(anon_vma);
	gw_page_unlock(m, page);
	return places;
}

static void
assert_place(
	const struct world *w, const struct places *places, unsigned at, unsigned i, unsigned n)
{
	assert_true(at < places->n);
	assert_ptr_equal(places->vma[at], &w->vmas[i]);
	assert_int_equal(places->addr[at], gw_vma_start(&w->vmas[i]) + n * GW_PAGE_SIZE);
}

/* A page of a VMA is looked for at its one address there. */
static void
walk_finds_the_address(void **state)
{
	struct world *w = *state;
	gw_pfn_t page = new_page(w, 0, 3);
	struct places places = walk_places(w, page, 0);

	assert_int_equal(places.n, 1);
	assert_place(w, &places, 0, 0, 3);
	free_page(w, page);
}

/*
 * V2, R8: a page from before the fork is looked for in parent, children and grandchildren, each
 * after whom it was forked from; a page of a child is not looked for in its parent.
 */
static void
walk_follows_forks_in_order(void **state)
{
	struct world *w = *state;
	gw_pfn_t old = new_page(w, 0, 3);
	gw_pfn_t childs;
	struct places places;

	assert_int_equal(gw_anon_vma_fork(&w->vmas[1], &w->vmas[0]), 0);
	assert_int_equal(gw_anon_vma_fork(&w->vmas[2], &w->vmas[1]), 0);
	assert_int_equal(gw_anon_vma_fork(&w->vmas[3], &w->vmas[0]), 0);
	places = walk_places(w, old, 0);
	assert_int_equal(places.n, 4);
	for (unsigned i = 0; i < 4; i++)
		assert_place(w, &places, i, i, 3);

	childs = new_page(w, 1, 5);
	places = walk_places(w, childs, 0);
	assert_int_equal(places.n, 2);
	assert_place(w, &places, 0, 1, 5);
	assert_place(w, &places, 1, 2, 5);
	free_page(w, childs);
	free_page(w, old);
}

/* A visitor that returns false ends the walk. */
static void
walk_ends_when_told(void **state)
{
	struct world *w = *state;
	gw_pfn_t page = new_page(w, 0, 3);

	assert_int_equal(gw_anon_vma_fork(&w->vmas[1], &w->vmas[0]), 0);
	assert_int_equal(walk_places(w, page, 1).n, 1);
	free_page(w, page);
}

/* R5: after a change of start and page offset the same page is looked for at the same address;
 * between begin and end of the change nobody walks. */
static void
change_keeps_addresses(void **state)
{
	struct world *w = *state;
	gw_pfn_t page = new_page(w, 0, 3);
	struct gw_vma *vma = &w->vmas[0];
	struct places places;

	gw_vma_change_begin(vma);
	assert_false(gw_rw_read_trylock(&anon_vma_of(vma)->root->lock));
	vma->node.start += 2 * GW_PAGE_SIZE;
	gw_u64_add_relaxed(&vma->pgoff, 2);
	gw_vma_change_end(vma);
	places = walk_places(w, page, 0);
	assert_int_equal(places.n, 1);
	assert_place(w, &places, 0, 0, 1);

	gw_vma_change_begin(vma);
	vma->node.start += 2 * GW_PAGE_SIZE; /* past the page */
	gw_u64_add_relaxed(&vma->pgoff, 2);
	gw_vma_change_end(vma);
	assert_int_equal(walk_places(w, page, 0).n, 0);
	free_page(w, page);
}

/* R5: only the lock of the oldest anon_vma of a family counts: a child's change excludes a walk
 * from a parent's page. */
static void
family_has_one_lock(void **state)
{
	struct world *w = *state;
	struct gw_anon_vma *root;

	assert_int_equal(gw_anon_vma_prepare(&w->vmas[0]), 0);
	assert_int_equal(gw_anon_vma_fork(&w->vmas[1], &w->vmas[0]), 0);
	assert_int_equal(gw_anon_vma_fork(&w->vmas[2], &w->vmas[1]), 0);
	root = anon_vma_of(&w->vmas[0]);
	assert_ptr_equal(anon_vma_of(&w->vmas[2])->root, root);
	gw_vma_change_begin(&w->vmas[2]);
	assert_false(gw_rw_read_trylock(&root->lock));
	gw_vma_change_end(&w->vmas[2]);
	assert_true(gw_rw_read_trylock(&root->lock));
	gw_rw_read_unlock(&root->lock);
}

/* A copy for a split or a move belongs to the same anon_vma, and its pages are found in both. */
static void
clone_shares(void **state)
{
	struct world *w = *state;
	gw_pfn_t page = new_page(w, 0, 3);
	struct places places;

	assert_int_equal(gw_anon_vma_clone(&w->vmas[1], &w->vmas[0]), 0);
	assert_ptr_equal(anon_vma_of(&w->vmas[1]), anon_vma_of(&w->vmas[0]));
	places = walk_places(w, page, 0);
	assert_int_equal(places.n, 2);
	assert_place(w, &places, 0, 0, 3);
	assert_place(w, &places, 1, 1, 3);
	free_page(w, page);
}

/* A VMA that had no page yet has no anon_vma to share. */
static void
nothing_to_share(void **state)
{
	struct world *w = *state;

	assert_int_equal(gw_anon_vma_fork(&w->vmas[1], &w->vmas[0]), 0);
	assert_int_equal(gw_anon_vma_clone(&w->vmas[2], &w->vmas[0]), 0);
	assert_null(anon_vma_of(&w->vmas[1]));
	assert_null(anon_vma_of(&w->vmas[2]));
	gw_vma_change_begin(&w->vmas[1]);
	gw_vma_change_end(&w->vmas[1]);
}

/* D2: the root outlives its own VMA while a child needs its lock; whoever goes last frees all. */
static void
children_pin_the_root(void **state)
{
	struct world *w = *state;
	struct gw_anon_vma *root, *child;
	gw_pfn_t page;

	assert_int_equal(gw_anon_vma_prepare(&w->vmas[0]), 0);
	assert_int_equal(gw_anon_vma_fork(&w->vmas[1], &w->vmas[0]), 0);
	root = anon_vma_of(&w->vmas[0]);
	child = anon_vma_of(&w->vmas[1]);
	gw_anon_vma_unlink(&w->vmas[0]);
	page = new_page(w, 1, 2);
	assert_int_equal(walk_places(w, page, 0).n, 1);
	assert_int_equal(gw_ref_read(&root->refs), 2); /* the child VMA's link, and the child */
	assert_int_equal(gw_ref_read(&child->refs), 1);
	free_page(w, page);
}

/* R1, D3: the anon_vma of a page that is mapped nowhere is not to be had, nor is one of a page that
 * is not anonymous; the anonymous page keeps its mark until it is freed (A7). */
static void
unmapped_pages_give_no_anon_vma(void **state)
{
	struct world *w = *state;
	struct gw_machine *m = w->f->m;
	gw_pfn_t page = new_page(w, 0, 3);
	gw_pfn_t nobodys = fixture_alloc(w->f, 0);
	struct gw_anon_vma *anon_vma = anon_vma_of(&w->vmas[0]);

	assert_null(gw_page_get_anon_vma(m, nobodys));
	assert_ptr_equal(gw_page_get_anon_vma(m, page), anon_vma);
	gw_anon_vma_put(anon_vma);
	gw_rmap_remove(m, page);
	assert_null(gw_page_get_anon_vma(m, page));
	gw_anon_vma_unlink(&w->vmas[0]);
	gw_rcu_barrier(); /* the memory is gone; the page still names it */
	assert_null(gw_page_get_anon_vma(m, page));
	assert_true(gw_owner_is_anon(gw_ptr_load_relaxed(&gw_page(m, page)->owner)));
	gw_put_page(m, page);
	gw_put_page(m, nobodys);
}

/* R2: with a reference the anon_vma can be walked after its last VMA has gone. */
static void
reference_outlives_the_vma(void **state)
{
	struct world *w = *state;
	struct gw_machine *m = w->f->m;
	gw_pfn_t page = new_page(w, 0, 3);
	struct places places = {0};
	struct gw_rmap_walk walk = {.visit = note_place, .page = page, .ctx = &places};
	struct gw_anon_vma *anon_vma;

	gw_page_lock(m, page);
	anon_vma = gw_page_get_anon_vma(m, page);
	gw_rmap_remove(m, page);
	gw_anon_vma_unlink(&w->vmas[0]);
	gw_rcu_barrier();
	walk.anon_vma = anon_vma;
	gw_rmap_walk(m, &walk);
	assert_int_equal(places.n, 0);
	gw_anon_vma_put(anon_vma);
	gw_page_unlock(m, page);
	gw_put_page(m, page);
}

/* Whichever allocation fails, -ENOMEM, and the VMA is linked to nothing. */
static void
survives_each_failed_allocation(void **state)
{
	struct world *w = *state;
	struct fixture *f = w->f;
	unsigned failures = 0;

	for (unsigned k = 1;; k++) {
		f->fail_at = gw_u64_load_relaxed(&f->allocations) + k;
		if (gw_anon_vma_prepare(&w->vmas[0]) == 0)
			break;
		assert_null(anon_vma_of(&w->vmas[0]));
		failures++;
	}
	f->fail_at = 0;
	assert_int_equal(failures, 2); /* the anon_vma, the link */
	assert_int_equal(gw_anon_vma_fork(&w->vmas[1], &w->vmas[0]), 0);
	failures = 0;
	for (unsigned k = 1;; k++) {
		f->fail_at = gw_u64_load_relaxed(&f->allocations) + k;
		if (gw_anon_vma_fork(&w->vmas[2], &w->vmas[1]) == 0)
			break;
		assert_null(anon_vma_of(&w->vmas[2]));
		assert_null(w->vmas[2].links);
		failures++;
	}
	f->fail_at = 0;
	assert_int_equal(failures, 4); /* two links, the child's own and its link */
	gw_rcu_barrier();
}

struct prepare {
	struct world *w;
	pthread_barrier_t *start;
	struct gw_anon_vma *seen[SPACES];
};

static void *
prepare_all(void *arg)
{
	struct prepare *me = arg;
	struct gw_task task;

	if (gw_task_attach(&task, me->w->f->m, 0))
		abort();
	for (unsigned i = 0; i < SPACES; i++) {
		pthread_barrier_wait(me->start);
		if (gw_anon_vma_prepare(&me->w->vmas[i]))
			abort();
		me->seen[i] = anon_vma_of(&me->w->vmas[i]);
	}
	gw_task_detach(&task);
	return NULL;
}

/* Of faults that race for a VMA's first anon_vma one wins, and all have the winner's. */
static void
racing_faults_agree(void **state)
{
	struct world *w = *state;
	struct prepare workers[3];
	pthread_t threads[3];
	pthread_barrier_t start;

	pthread_barrier_init(&start, NULL, 3);
	for (unsigned t = 0; t < 3; t++) {
		workers[t] = (struct prepare){.w = w, .start = &start};
		assert_int_equal(pthread_create(&threads[t], NULL, prepare_all, &workers[t]), 0);
	}
	for (unsigned t = 0; t < 3; t++)
		assert_int_equal(pthread_join(threads[t], NULL), 0);
	for (unsigned i = 0; i < SPACES; i++) {
		assert_non_null(workers[0].seen[i]);
		assert_ptr_equal(workers[0].seen[i], workers[1].seen[i]);
		assert_ptr_equal(workers[0].seen[i], workers[2].seen[i]);
		assert_int_equal(gw_ref_read(&workers[0].seen[i]->refs), 1);
	}
	pthread_barrier_destroy(&start);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(walk_finds_the_address),
		T(walk_follows_forks_in_order),
		T(walk_ends_when_told),
		T(change_keeps_addresses),
		T(family_has_one_lock),
		T(clone_shares),
		T(nothing_to_share),
		T(children_pin_the_root),
		T(unmapped_pages_give_no_anon_vma),
		T(reference_outlives_the_vma),
		T(survives_each_failed_allocation),
		T(racing_faults_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
