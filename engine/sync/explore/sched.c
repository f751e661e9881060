/* SPDX-License-Identifier: MIT */
/*
 * sched.c - fibers and the switch between them.
 *
 * Idea. A switch saves what a called function must preserve and changes the stack pointer: a few
 * nanoseconds. Where no such switch is written down, ucontext does it, slowly.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/sync/bug.h"
#include "engine/sync/explore/sched.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GW_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define GW_ASAN 1
#endif
#ifdef GW_ASAN
void __sanitizer_start_switch_fiber(void **fake_stack, const void *bottom, size_t bytes);
void __sanitizer_finish_switch_fiber(void *fake_stack, const void **bottom, size_t *bytes);
void __asan_unpoison_memory_region(void const volatile *address, size_t bytes);
#define ASAN_BEGIN(fake, bottom, bytes)	 __sanitizer_start_switch_fiber(fake, bottom, bytes)
#define ASAN_FINISH(fake, bottom, bytes) __sanitizer_finish_switch_fiber(fake, bottom, bytes)
#define ASAN_CLEAN(address, bytes)	 __asan_unpoison_memory_region(address, bytes)
#else
#define ASAN_BEGIN(fake, bottom, bytes)	 ((void)0)
#define ASAN_FINISH(fake, bottom, bytes) ((void)0)
#define ASAN_CLEAN(address, bytes)	 ((void)0)
#endif

#define GUARD ((size_t)64 << 10) /* a page, whatever the host's */

_Thread_local struct gw_sched *gw_sched_now;

static void fiber_main(void) __attribute__((noreturn, used));

/* ---- the switch ---- */

#if defined(__x86_64__) || defined(__aarch64__)

/* Save the caller's state on its stack, its stack pointer in *from; go on as `to` stopped. */
void gw_sched_switch(void **from, void *to) __attribute__((visibility("hidden")));

#if defined(__x86_64__)
__asm__(".text\n"
	".p2align 4\n"
	".globl gw_sched_switch\n"
	".hidden gw_sched_switch\n"
	".type gw_sched_switch, @function\n"
	"gw_sched_switch:\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	ret\n"
	".size gw_sched_switch, . - gw_sched_switch\n");

/* Six registers, where to return to, and a word that aligns the stack as a call would. */
static void *
first_sp(char *top)
{
	uintptr_t *sp = (uintptr_t *)(void *)top - 8;

	memset(sp, 0, 8 * sizeof(*sp));
	sp[6] = (uintptr_t)fiber_main;
	return sp;
}
#else
__asm__(".text\n"
	".p2align 4\n"
	".globl gw_sched_switch\n"
	".hidden gw_sched_switch\n"
	".type gw_sched_switch, %function\n"
	"gw_sched_switch:\n"
	"	sub sp, sp, #160\n"
	"	stp x19, x20, [sp, #0]\n"
	"	stp x21, x22, [sp, #16]\n"
	"	stp x23, x24, [sp, #32]\n"
	"	stp x25, x26, [sp, #48]\n"
	"	stp x27, x28, [sp, #64]\n"
	"	stp x29, x30, [sp, #80]\n"
	"	stp d8, d9, [sp, #96]\n"
	"	stp d10, d11, [sp, #112]\n"
	"	stp d12, d13, [sp, #128]\n"
	"	stp d14, d15, [sp, #144]\n"
	"	mov x9, sp\n"
	"	str x9, [x0]\n"
	"	mov sp, x1\n"
	"	ldp x19, x20, [sp, #0]\n"
	"	ldp x21, x22, [sp, #16]\n"
	"	ldp x23, x24, [sp, #32]\n"
	"	ldp x25, x26, [sp, #48]\n"
	"	ldp x27, x28, [sp, #64]\n"
	"	ldp x29, x30, [sp, #80]\n"
	"	ldp d8, d9, [sp, #96]\n"
	"	ldp d10, d11, [sp, #112]\n"
	"	ldp d12, d13, [sp, #128]\n"
	"	ldp d14, d15, [sp, #144]\n"
	"	add sp, sp, #160\n"
	"	ret\n"
	".size gw_sched_switch, . - gw_sched_switch\n");

/* Twenty registers; x30, where to return to, is the twelfth. */
static void *
first_sp(char *top)
{
	uintptr_t *sp = (uintptr_t *)(void *)top - 20;

	memset(sp, 0, 20 * sizeof(*sp));
	sp[11] = (uintptr_t)fiber_main;
	return sp;
}
#endif

#else
#include <ucontext.h>

/* A context lies at the top of the stack that it belongs to. */
static void
gw_sched_switch(void **from, void *to)
{
	ucontext_t here;

	/* It is on this fiber's own stack, which stands still until the fiber goes on. */
	*from = &here; /* cppcheck-suppress autoVariables */
	swapcontext(&here, to);
}

static void *
first_sp(char *top)
{
	ucontext_t *context = (ucontext_t *)(void *)(top - (sizeof(*context) + 63) / 64 * 64);

	getcontext(context);
	context->uc_stack.ss_sp = top - GW_SCHED_STACK;
	context->uc_stack.ss_size = GW_SCHED_STACK - (size_t)(top - (char *)context);
	context->uc_link = NULL;
	makecontext(context, fiber_main, 0);
	return context;
}
#endif

/* ---- stacks ---- */

int
gw_sched_init(struct gw_sched *s, unsigned n_tasks)
{
	size_t each = GUARD + GW_SCHED_STACK;
	char *memory = mmap(NULL, each * (GW_SCHED_TASKS + 1), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return -ENOMEM;
	s->n_tasks = n_tasks;
	for (unsigned i = 0; i <= GW_SCHED_TASKS; i++) {
		s->fibers[i].stack = memory + i * each + GUARD;
		if (mprotect(memory + i * each, GUARD, PROT_NONE)) {
			munmap(memory, each * (GW_SCHED_TASKS + 1));
			return -ENOMEM;
		}
	}
	return 0;
}

void
gw_sched_destroy(struct gw_sched *s)
{
	if (s->fibers[0].stack)
		munmap(s->fibers[0].stack - GUARD, (GUARD + GW_SCHED_STACK) * (GW_SCHED_TASKS + 1));
}

bool
gw_sched_in_guard(const struct gw_sched *s, const void *address)
{
	for (unsigned i = 0; i <= GW_SCHED_TASKS; i++) {
		const char *stack = s->fibers[i].stack;

		if ((const char *)address < stack && (const char *)address >= stack - GUARD)
			return true;
	}
	return false;
}

void
gw_sched_reset(struct gw_sched *s)
{
	s->deferred_first = s->deferred_last = NULL;
	s->now = &s->fibers[GW_SCHED_ALONE];
}

void
gw_sched_prepare(struct gw_fiber *f, void (*run)(void *arg), void *arg)
{
	ASAN_CLEAN(f->stack, GW_SCHED_STACK); /* of a fiber that was left somewhere */
	f->sp = first_sp(f->stack + GW_SCHED_STACK);
	f->run = run;
	f->arg = arg;
	f->done = false;
	f->rcu_depth = 0;
	f->op = (struct gw_sched_op){.name = "start"};
	memset(&f->own, 0, sizeof(f->own));
	f->task = &f->own;
	f->fake_stack = NULL;
}

/* ---- running ---- */

static void
switch_to(struct gw_sched *s, struct gw_fiber *to)
{
	struct gw_fiber *from = s->now;

	s->now = to;
	ASAN_BEGIN(&from->fake_stack, to->stack, GW_SCHED_STACK);
	gw_sched_switch(&from->sp, to->sp);
	ASAN_FINISH(from->fake_stack, NULL, NULL);
}

void
gw_sched_enter(struct gw_sched *s, unsigned i)
{
#ifdef GW_ASAN
	void *fake_stack = NULL;
#endif

	s->now = &s->fibers[i];
	ASAN_BEGIN(&fake_stack, s->now->stack, GW_SCHED_STACK);
	gw_sched_switch(&s->main_sp, s->now->sp);
	ASAN_FINISH(fake_stack, NULL, NULL);
}

void
gw_sched_leave(struct gw_sched *s)
{
	/* Not to a local variable: AddressSanitizer's stack for those is gone after a line. */
	ASAN_BEGIN(NULL, s->main_stack, s->main_stack_bytes);
	gw_sched_switch(&s->now->sp, s->main_sp);
	__builtin_unreachable();
}

/* Whoever the search chooses goes on. */
static void
choose(struct gw_sched *s)
{
	int next = s->hooks->choose(s->ctx);

	if (next < 0)
		gw_sched_leave(s);
	if (&s->fibers[next] != s->now)
		switch_to(s, &s->fibers[next]);
}

static void
fiber_main(void)
{
	struct gw_sched *s = gw_sched_now;
	struct gw_fiber *f = s->now;

#ifdef GW_ASAN
	const void *bottom;
	size_t bytes;

	ASAN_FINISH(NULL, &bottom, &bytes);
	if (!s->main_stack) { /* the first fiber of all is entered from there */
		s->main_stack = bottom;
		s->main_stack_bytes = bytes;
	}
#endif
	f->run(f->arg);
	f->done = true;
	choose(s);
	__builtin_unreachable(); /* whoever is done is not chosen */
}

void
gw_sched_point_op(const struct gw_sched_op *op)
{
	struct gw_sched *s = gw_sched_now;

	if (!s)
		return;
	if (!s->points) {
		if (op->ready && !op->ready(op->arg))
			s->hooks->stuck(s->ctx, op);
		return;
	}
	s->now->op = *op;
	choose(s);
}

void
gw_sched_access(const volatile void *address, size_t bytes, unsigned how)
{
	struct gw_sched *s = gw_sched_now;

	if (s && s->watched)
		s->hooks->access(s->ctx, address, bytes, how);
}
