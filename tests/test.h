/* SPDX-License-Identifier: MIT */
/*
 * test.h - what every test program begins with: cmocka, and repeatable randomness.
 *
 * A random test takes its seed from the environment variable GW_SEED, else the same one
 * each time, so that what fails once fails again; it prints the seed it used.
 */
#ifndef GODWIT_TEST_H
#define GODWIT_TEST_H

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

/* The seed of this run, printed as a TAP comment. */
static inline uint64_t
test_seed(void)
{
	const char *text = getenv("GW_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : 1;

	print_message("# GW_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

/* The next random number of the stream that `state` is in; start it with test_seed(). */
static inline uint64_t
test_random(uint64_t *state)
{
	uint64_t x = (*state += 0x9e3779b97f4a7c15u);

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

#endif
