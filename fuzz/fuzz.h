/* SPDX-License-Identifier: MIT */
/* fuzz.h - what all fuzzers have in common: a property that does not hold is a crash. */
#ifndef GODWIT_FUZZ_H
#define GODWIT_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(cond)                                                                           \
	do {                                                                                       \
		if (!(cond))                                                                       \
			abort();                                                                   \
	} while (0)

#endif
