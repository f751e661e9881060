/* SPDX-License-Identifier: MIT */
/*
 * builder.h - how the files of a host become a struct gw_snapshot.
 *
 * Idea. A builder is fed the two large files piece by piece and the text files whole, in
 * any order; gw_builder_finish() then parses the texts in the order they need each other
 * and checks them against the map. An archive and the live host feed the same builder.
 *
 * Invariants
 *   S1  memory grows only with bytes that were really read, never with a claimed size
 *   S2  a message is "MEMBER: what is wrong"; whoever knows the source puts it in front
 */
#ifndef GODWIT_BUILDER_H
#define GODWIT_BUILDER_H

#include "godwit/snapshot.h"

/* The bits of /proc/kpageflags that have a name: 0..26 and 32..42 (FACTS 3.1). */
#define GW_KPAGEFLAGS_KNOWN UINT64_C(0x7ff07ffffff)

/* A text file longer than this is none: 1,024 CPUs in 8 nodes make 2 MiB of zoneinfo. */
#define GW_TEXT_MAX ((size_t)4 << 20)

/* The two files with one 64-bit word per frame. */
enum gw_words { GW_WORDS_FLAGS, GW_WORDS_COUNT, GW_WORDS_NR };

enum gw_text {
	GW_TEXT_ZONEINFO,
	GW_TEXT_BUDDYINFO,
	GW_TEXT_PAGETYPEINFO,
	GW_TEXT_VMSTAT,
	GW_TEXT_IOMEM,
	GW_TEXT_SYSCTL,
	GW_TEXT_UNAME,
	GW_TEXT_NR
};

/* The members' names in an archive, which are those in /proc where they exist there. */
extern const char *const gw_words_names[GW_WORDS_NR];
extern const char *const gw_text_names[GW_TEXT_NR];

struct gw_word_stream {
	bool seen;
	uint64_t n_words;
	unsigned char carry[8]; /* the first n_carry bytes of a word cut in two */
	unsigned n_carry;
};

struct gw_text_file {
	char *data; /* NULL: not seen; owned */
	size_t len;
};

struct gw_builder {
	struct gw_snapshot snap;
	uint64_t capacity; /* of snap.frames */
	struct gw_word_stream words[GW_WORDS_NR];
	struct gw_text_file texts[GW_TEXT_NR];
	bool any_flag; /* some frame had a flag: the kernel did not just give zeros */
};

void gw_builder_init(struct gw_builder *b);

/* Free what the builder still owns. */
void gw_builder_destroy(struct gw_builder *b);

/* A member of one 64-bit word per frame begins; -EINVAL if it was there before. */
GW_MUST_CHECK int gw_builder_words_begin(
	struct gw_builder *b, enum gw_words which, struct gw_error *err);

/* The next `len` bytes of it, cut anywhere. -EINVAL, -ENOMEM. */
GW_MUST_CHECK int gw_builder_words(struct gw_builder *b, enum gw_words which, const void *data,
	size_t len, struct gw_error *err);

/* Give the builder a whole text of `len` bytes, from malloc(); taken over even on failure. */
GW_MUST_CHECK int gw_builder_text(
	struct gw_builder *b, enum gw_text which, char *data, size_t len, struct gw_error *err);

/* Parse, check, and move the snapshot to `out`. -EINVAL, -ENOMEM; `out` untouched then. */
GW_MUST_CHECK int gw_builder_finish(
	struct gw_builder *b, struct gw_snapshot *out, struct gw_error *err);

/* Fill `err` (may be NULL) and return `code`, a negative errno. */
int gw_observe_fail(struct gw_error *err, int code, const char *fmt, ...) GW_PRINTF(3, 4);

/* Put "source: " before the message, shortened from the left if it does not fit. */
void gw_observe_prefix(struct gw_error *err, const char *source);

/* Takes the next bytes of a file; 0 or a negative errno with err filled. */
typedef int (*gw_sink_fn)(void *ctx, const void *data, size_t len, struct gw_error *err);

/*
 * Read one of this host's large files to its end, in pieces. -EACCES: not permitted, or this
 * kernel does not show it; or an errno of the read, or what the sink returned.
 */
GW_MUST_CHECK int gw_live_words(
	enum gw_words which, gw_sink_fn sink, void *ctx, struct gw_error *err);

/*
 * This host's text of a member's name, from malloc(). Errors: a negative errno, -ENOENT and
 * -EACCES among them: the caller knows whether it can do without.
 */
GW_MUST_CHECK int gw_live_text(const char *name, char **data, size_t *len);

/* As gw_snapshot_load(), from memory; `name` stands for the file. */
GW_MUST_CHECK int gw_snapshot_load_memory(const char *name, const void *data, size_t len,
	struct gw_snapshot *out, struct gw_error *err);

#endif
