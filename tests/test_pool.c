/* SPDX-License-Identifier: MIT */
/*
 * test_pool.c - new pages out of somebody's own pool, while past users of these pages come back for
 * them (FACTS 1.1, rows A1 to A6): the case that document A was written for.
 *
 * Idea. A pool keeps some pages and lends them to migrations. Past users remember frames of the
 * pool: they take a reference if there still is one, try the lock, and go. So a new page may be
 * locked when it is wanted, and any page may have a reference too many. The pool counts: what it
 * lent comes back once, clean, or is a program's page afterwards, with the program's bytes.
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "mm_fixture.h"
#include "godwit/task.h"

#define PAGES  64
#define POOL   24
#define ROUNDS 300

enum lent { AT_HOME, LENT };

struct pool {
	struct spaces *s;
	/* The migrating thread's. */
	gw_pfn_t pages[POOL];
	enum lent state[POOL];
	unsigned gets, puts, kept;
	/* Frames that were in the pool once, for past users. */
	gw_atomic_u32 remembered[POOL];
	gw_atomic_u32 stop, locked;
};

static gw_pfn_t
fresh_page(struct pool *p)
{
	gw_pfn_t page = GW_PFN_NONE;

	assert_int_equal(gw_alloc_pages(p->s->m, GW_GFP_USER_MOVABLE, 0, 0, &page), 0);
	return page;
}

static int
get_new_page(void *ctx, struct gw_machine *m, gw_pfn_t src, unsigned order, gw_pfn_t *dst)
{
	struct pool *p = ctx;

	(void)m;
	(void)src;
	if (order > 0)
		return -ENOMEM;
	for (unsigned i = 0; i < POOL; i++) {
		if (p->state[i] == LENT)
			continue;
		p->state[i] = LENT;
		p->gets++;
		*dst = p->pages[i];
		return 0;
	}
	return -EAGAIN;
}

/* A1: each unused page comes back, once. A6: with nothing of the old page about it. */
static void
put_new_page(void *ctx, struct gw_machine *m, gw_pfn_t dst, unsigned order)
{
	struct pool *p = ctx;
	const struct gw_page *page = gw_page(m, dst);
	unsigned i = 0;

	assert_int_equal(order, 0);
	while (i < POOL && p->pages[i] != dst)
		i++;
	assert_true(i < POOL);
	assert_int_equal(p->state[i], LENT);
	assert_null(gw_ptr_load_relaxed(&page->owner));
	assert_int_equal(gw_frame_index(page), 0);
	assert_int_equal(gw_page_flags(page) & (GW_PG_SWAPCACHE | GW_PG_DIRTY | GW_PG_LRU), 0);
	assert_int_equal(gw_u32_load_relaxed(&page->mapcount), 0);
	p->state[i] = AT_HOME;
	p->puts++;
}

/* A2: what did not come back is a page of the program now; the pool gets another one. */
static void
replace_what_is_gone(struct pool *p)
{
	for (unsigned i = 0; i < POOL; i++) {
		if (p->state[i] == AT_HOME)
			continue;
		p->kept++;
		p->pages[i] = fresh_page(p);
		p->state[i] = AT_HOME;
		gw_u32_store_relaxed(&p->remembered[i], p->pages[i]);
	}
}

struct past_user {
	struct pool *p;
	pthread_t thread;
	uint64_t random;
};

static void *
come_back(void *arg)
{
	struct past_user *u = arg;
	struct gw_machine *m = u->p->s->m;
	struct gw_task task;

	assert_int_equal(gw_task_attach(&task, m, 1), 0);
	while (!gw_u32_load_relaxed(&u->p->stop)) {
		unsigned i = (unsigned)(test_random(&u->random) % POOL);
		gw_pfn_t page = gw_u32_load_relaxed(&u->p->remembered[i]);

		if (!gw_get_page_unless_zero(m, page))
			continue;
		if (gw_page_trylock(m, page)) {
			gw_u32_add_relaxed(&u->p->locked, 1);
			sched_yield();
			gw_page_unlock(m, page);
		}
		gw_put_page(m, page);
	}
	gw_task_detach(&task);
	return NULL;
}

static void
move_all(struct pool *p, struct gw_mm *mm, gw_vaddr_t addr, enum gw_migrate_mode mode)
{
	const struct gw_migrate_target target = {
		.get_new_page = get_new_page, .put_new_page = put_new_page, .ctx = p};
	struct gw_page_list list;

	gw_page_list_init(&list);
	gw_lru_add_drain_all(p->s->m);
	for (unsigned i = 0; i < PAGES && list.n < POOL; i++)
		if (gw_isolate_page(p->s->m, page_of(mm, addr + i * PAGE), mode, &list))
			continue; /* a past user has it */
	if (gw_migrate_pages(p->s->m, &list, &target, mode, GW_MR_SYSCALL, NULL))
		gw_putback_movable_pages(p->s->m, &list);
	replace_what_is_gone(p);
}

static void
pool_with_past_users(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map(mm, PAGES);
	struct pool p = {.s = s};
	struct past_user user = {.p = &p, .random = test_seed()};

	for (unsigned i = 0; i < PAGES; i++)
		poke(mm, addr + i * PAGE, i + 1);
	for (unsigned i = 0; i < POOL; i++) {
		p.pages[i] = fresh_page(&p);
		gw_u32_store_relaxed(&p.remembered[i], p.pages[i]);
	}
	assert_int_equal(pthread_create(&user.thread, NULL, come_back, &user), 0);
	for (unsigned round = 0; round < ROUNDS || gw_u32_load_relaxed(&p.locked) < 100; round++) {
		move_all(&p, mm, addr, (enum gw_migrate_mode)(round % 3));
		for (unsigned i = 0; i < PAGES; i++)
			assert_int_equal(peek(mm, addr + i * PAGE), i + 1);
	}
	gw_u32_store_relaxed(&p.stop, 1);
	assert_int_equal(pthread_join(user.thread, NULL), 0);
	assert_int_equal(p.gets, p.puts + p.kept);
	assert_true(p.kept > ROUNDS);
	print_message("# lent %u, came back %u\n", p.gets, p.puts);
	for (unsigned i = 0; i < POOL; i++)
		gw_put_page(s->m, p.pages[i]);
	gw_mm_put(mm);
}

/* A4, made certain: the only page that the pool has left is locked by a past user. The old page is
 * not touched, the new one goes back in each of ten passes; when he has gone, it is the new page.
 */
static void
locked_pool_page_is_no_failure(void **state)
{
	struct spaces *s = *state;
	struct gw_mm *mm = new_space(s);
	gw_vaddr_t addr = map(mm, 1);
	struct pool p = {.s = s};
	struct gw_migrate_target target = {
		.get_new_page = get_new_page, .put_new_page = put_new_page, .ctx = &p};
	struct gw_page_list list;
	gw_pfn_t old;

	poke(mm, addr, 7);
	gw_lru_add_drain_all(s->m);
	old = page_of(mm, addr);
	for (unsigned i = 0; i < POOL; i++) {
		p.pages[i] = i ? GW_PFN_NONE : fresh_page(&p);
		p.state[i] = i ? LENT : AT_HOME;
	}
	gw_get_page(s->m, p.pages[0]);
	assert_true(gw_page_trylock(s->m, p.pages[0]));
	gw_page_list_init(&list);
	assert_int_equal(gw_isolate_page(s->m, old, GW_MIGRATE_SYNC, &list), 0);
	assert_int_equal(
		gw_migrate_pages(s->m, &list, &target, GW_MIGRATE_SYNC, GW_MR_SYSCALL, NULL), 1);
	assert_int_equal(p.gets, 10);
	assert_int_equal(p.puts, 10);
	assert_int_equal(page_of(mm, addr), old);
	gw_page_unlock(s->m, p.pages[0]);
	gw_put_page(s->m, p.pages[0]);
	assert_int_equal(
		gw_migrate_pages(s->m, &list, &target, GW_MIGRATE_SYNC, GW_MR_SYSCALL, NULL), 0);
	assert_int_equal(p.gets, 11);
	assert_int_equal(p.puts, 10); /* A2 */
	assert_int_equal(page_of(mm, addr), p.pages[0]);
	assert_int_equal(peek(mm, addr), 7);
	gw_mm_put(mm);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			pool_with_past_users, spaces_setup, spaces_teardown),
		cmocka_unit_test_setup_teardown(
			locked_pool_page_is_no_failure, spaces_setup, spaces_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
