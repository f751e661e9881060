/* SPDX-License-Identifier: MIT */
/*
 * small_host.h - a recorded host of few frames, for tests of the command: read in no time.
 */
#ifndef GODWIT_SMALL_HOST_H
#define GODWIT_SMALL_HOST_H

#define SMALL_FRAMES 8192u

/* Write it as an archive: 32 MiB, slab below, free blocks above, and between them anonymous pages
 * with holes. */
void small_host_write(const char *path);

#endif
