/* SPDX-License-Identifier: MIT */
/*
 * fuzz_kpageflags.c - any words, cut anywhere, whichever of the two files is ahead.
 *
 * The first eight bytes say how the rest is cut; each frame must come out as if it had
 * been converted by itself.
 */
#include "fuzz_text.h"

struct input {
	const uint8_t *data;
	size_t n_frames;
	uint64_t cuts;
};

static uint64_t
word_at(const uint8_t *words, size_t i)
{
	uint64_t word;

	memcpy(&word, words + 8 * i, 8);
	return word;
}

/* Feed both files in pieces whose lengths and order the cuts say. */
static void
feed(struct gw_builder *b, const struct input *in)
{
	const uint8_t *data[GW_WORDS_NR] = {in->data, in->data + 8 * in->n_frames};
	size_t at[GW_WORDS_NR] = {0}, len = 8 * in->n_frames;
	uint64_t cuts = in->cuts;

	while (at[0] < len || at[1] < len) {
		enum gw_words which = cuts & 1;
		size_t n = 1 + (cuts >> 1) % 61, left = len - at[which];

		n = n < left ? n : left;
		FUZZ_CHECK(gw_builder_words(b, which, data[which] + at[which], n, NULL) == 0);
		at[which] += n;
		cuts = (cuts ^ (cuts >> 7)) * 0x9e3779b97f4a7c15u + 1;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gw_builder b;
	struct input in;

	if (size < 8)
		return 0;
	in = (struct input){data + 8, (size - 8) / 16, word_at(data, 0) * 2 + 1};
	gw_builder_init(&b);
	feed(&b, &in);
	for (size_t i = 0; i < in.n_frames; i++) {
		gw_frame_t want = gw_frame_from_kpageflags(word_at(in.data, i));

		want = gw_frame_with_kpagecount(want, word_at(in.data, in.n_frames + i));
		FUZZ_CHECK(b.snap.frames[i] == want && gw_frame_kind(want) < GW_KIND_NR);
	}
	gw_builder_destroy(&b);
	return 0;
}
