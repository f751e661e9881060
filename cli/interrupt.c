/* SPDX-License-Identifier: MIT */
/*
 * interrupt.c - an interrupt becomes a question that orderly code asks.
 *
 * The only mutable global of the command: a signal handler can reach nothing else.
 */
#include <signal.h>
#include <stddef.h>

#include "cli.h"

static volatile sig_atomic_t interrupted;

static void
on_interrupt(int signal_number)
{
	interrupted = signal_number;
}

/* Without SA_RESTART: a wait, or a write that the kernel can cut short, ends. */
static void
set_handler(void (*handler)(int))
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = handler}, old;

	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
		/* What is ignored (nohup) stays so. */
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(signals[i], &action, NULL);
	}
}

void
cli_interrupt_begin(void)
{
	interrupted = 0;
	set_handler(on_interrupt);
}

int
cli_interrupted(void)
{
	return (int)interrupted;
}

void
cli_interrupt_end(void)
{
	set_handler(SIG_DFL);
}
