/* SPDX-License-Identifier: MIT */
/*
 * snapshot.c - build a snapshot from the files of a host, in whatever order they come.
 *
 * Idea. Nearly all frames repeat the value of the frame before, so the words of the two
 * large files are turned into gw_frame_t in one pass over whatever bytes are there, remembering the
 * last conversion. Whichever of the two files comes first makes the map grow; the second
 * adds to it.
 *
 * Invariants
 *   S3  frames[i] is final once both streams have passed i: kind and folio marks from the
 *       flags, MAPPED and SHARED from the counts if there are any
 *   S4  until finish() every check that needs two files is still to be made
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "procfs.h"

#define WORD sizeof(uint64_t)

/* The map starts with room for 512 MiB of memory and doubles (S1). */
#define FIRST_CAPACITY (UINT64_C(1) << 17)

const char *const gw_words_names[GW_WORDS_NR] = {
	[GW_WORDS_FLAGS] = "kpageflags",
	[GW_WORDS_COUNT] = "kpagecount",
};

const char *const gw_text_names[GW_TEXT_NR] = {
	[GW_TEXT_ZONEINFO] = "zoneinfo",
	[GW_TEXT_BUDDYINFO] = "buddyinfo",
	[GW_TEXT_PAGETYPEINFO] = "pagetypeinfo",
	[GW_TEXT_VMSTAT] = "vmstat",
	[GW_TEXT_IOMEM] = "iomem",
	[GW_TEXT_SYSCTL] = "sysctl",
	[GW_TEXT_UNAME] = "uname",
};

int
gw_observe_fail(struct gw_error *err, int code, const char *fmt, ...)
{
	va_list args;

	if (!err)
		return code;
	va_start(args, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	for (char *p = err->text; *p; p++) {
		if (*p < ' ' || *p > '~') /* it may quote outside data */
			*p = '?';
	}
	return code;
}

void
gw_observe_prefix(struct gw_error *err, const char *source)
{
	static const char separator[] = ": ";
	const size_t n_separator = sizeof(separator) - 1;
	size_t n_source = strlen(source), n_old, used, room;

	if (!err)
		return;
	n_old = strlen(err->text) + 1; /* with its NUL */
	used = n_old + n_separator;
	room = used < sizeof(err->text) ? sizeof(err->text) - used : 0;
	if (n_source > room) {
		source += n_source - room; /* the end of a path says most */
		n_source = room;
	}
	if (n_source == 0)
		return;
	memmove(err->text + n_source + n_separator, err->text, n_old);
	memcpy(err->text, source, n_source);
	memcpy(err->text + n_source, separator, n_separator);
}

void
gw_builder_init(struct gw_builder *b)
{
	*b = (struct gw_builder){0};
	b->snap.pageblock_order = GW_DEFAULT_PAGEBLOCK_ORDER;
	b->snap.extfrag_threshold = 500;
	b->snap.compact_unevictable_allowed = 1;
}

void
gw_builder_destroy(struct gw_builder *b)
{
	gw_snapshot_free(&b->snap);
	for (unsigned i = 0; i < GW_TEXT_NR; i++)
		free(b->texts[i].data);
	memset(b, 0, sizeof(*b));
}

static int
grow_frames(struct gw_builder *b, uint64_t n, const char *member, struct gw_error *err)
{
	uint64_t capacity = b->capacity ? b->capacity : FIRST_CAPACITY;
	gw_frame_t *grown;

	if (n <= b->capacity)
		return 0;
	if (n > GW_PFN_MAX)
		return gw_observe_fail(
			err, -EINVAL, "%s: more than %u frames", member, (unsigned)GW_PFN_MAX);
	while (capacity < n)
		capacity *= 2;
	grown = realloc(b->snap.frames, (size_t)(capacity * sizeof(*grown)));
	if (!grown)
		return gw_observe_fail(err, -ENOMEM, "%s: out of memory for %llu frames", member,
			(unsigned long long)capacity);
	b->snap.frames = grown;
	b->capacity = capacity;
	return 0;
}

static uint64_t
load_word(const unsigned char *p)
{
	uint64_t word;

	memcpy(&word, p, WORD); /* in the byte order of the host that wrote it: ours */
	return word;
}

/* The last word that was converted, and to what. */
struct flags_cache {
	uint64_t flags;
	gw_frame_t frame;
	bool unknown;
};

static void
convert_flags(struct gw_builder *b, struct flags_cache *cache, uint64_t flags)
{
	cache->flags = flags;
	cache->frame = gw_frame_from_kpageflags(flags);
	cache->unknown = (flags & ~GW_KPAGEFLAGS_KNOWN) != 0;
	if (flags != 0)
		b->any_flag = true;
}

/* `n` words of kpageflags for frames[first ..] that nothing is known of yet. */
static void
new_flags(struct gw_builder *b, uint64_t first, const unsigned char *data, size_t n)
{
	gw_frame_t *frames = b->snap.frames + first;
	struct flags_cache cache;
	uint64_t unknown = 0;

	convert_flags(b, &cache, load_word(data));
	for (size_t i = 0; i < n; i++) {
		uint64_t flags = load_word(data + i * WORD);

		if (flags != cache.flags)
			convert_flags(b, &cache, flags);
		frames[i] = cache.frame;
		unknown += cache.unknown;
	}
	b->snap.nr_unknown_flags += unknown;
}

/* The count that left these marks, as far as the marks tell. */
static uint64_t
count_of_marks(gw_frame_t frame)
{
	if (frame & GW_FRAME_SHARED)
		return 2;
	return frame & GW_FRAME_MAPPED ? 1 : 0;
}

/* As new_flags(), where the counts came first and left their marks. */
static void
merge_flags(struct gw_builder *b, uint64_t first, const unsigned char *data, size_t n)
{
	gw_frame_t *frames = b->snap.frames + first;
	struct flags_cache cache;
	uint64_t unknown = 0;

	convert_flags(b, &cache, load_word(data));
	for (size_t i = 0; i < n; i++) {
		uint64_t flags = load_word(data + i * WORD);

		if (flags != cache.flags)
			convert_flags(b, &cache, flags);
		frames[i] = gw_frame_with_kpagecount(cache.frame, count_of_marks(frames[i]));
		unknown += cache.unknown;
	}
	b->snap.nr_unknown_flags += unknown;
}

/* `n` words of kpagecount for frames[first ..] whose flags are not known yet. */
static void
new_counts(struct gw_builder *b, uint64_t first, const unsigned char *data, size_t n)
{
	gw_frame_t *frames = b->snap.frames + first;

	for (size_t i = 0; i < n; i++)
		frames[i] = gw_frame_with_kpagecount(GW_KIND_NOFLAG, load_word(data + i * WORD));
}

static void
merge_counts(struct gw_builder *b, uint64_t first, const unsigned char *data, size_t n)
{
	gw_frame_t *frames = b->snap.frames + first;
	uint64_t last = load_word(data);
	gw_frame_t last_in = frames[0], last_out = gw_frame_with_kpagecount(last_in, last);

	for (size_t i = 0; i < n; i++) {
		uint64_t count = load_word(data + i * WORD);

		if (count != last || frames[i] != last_in) {
			last = count;
			last_in = frames[i];
			last_out = gw_frame_with_kpagecount(last_in, count);
		}
		frames[i] = last_out;
	}
}

/* `n` whole words, at least one. */
static int
take_words(struct gw_builder *b, enum gw_words which, const unsigned char *data, size_t n,
	struct gw_error *err)
{
	uint64_t first = b->words[which].n_words;
	uint64_t other =
		b->words[which == GW_WORDS_FLAGS ? GW_WORDS_COUNT : GW_WORDS_FLAGS].n_words;
	size_t old = 0; /* how many of the words are for frames that the other file reached */
	int ret = grow_frames(b, first + n, gw_words_names[which], err);

	if (ret != 0)
		return ret;
	if (first < other)
		old = other - first < n ? (size_t)(other - first) : n;
	b->words[which].n_words += n;
	if (which == GW_WORDS_FLAGS) {
		if (old)
			merge_flags(b, first, data, old);
		if (n > old)
			new_flags(b, first + old, data + old * WORD, n - old);
		return 0;
	}
	if (old)
		merge_counts(b, first, data, old);
	if (n > old)
		new_counts(b, first + old, data + old * WORD, n - old);
	return 0;
}

int
gw_builder_words_begin(struct gw_builder *b, enum gw_words which, struct gw_error *err)
{
	if (b->words[which].seen)
		return gw_observe_fail(err, -EINVAL, "%s: is there twice", gw_words_names[which]);
	b->words[which].seen = true;
	return 0;
}

int
gw_builder_words(struct gw_builder *b, enum gw_words which, const void *data, size_t len,
	struct gw_error *err)
{
	struct gw_word_stream *ws = &b->words[which];
	const unsigned char *bytes = data;
	int ret;

	if (len == 0)
		return 0;
	if (ws->n_carry > 0) {
		size_t missing = WORD - ws->n_carry;
		size_t n = len < missing ? len : missing;

		memcpy(ws->carry + ws->n_carry, bytes, n);
		ws->n_carry += (unsigned)n;
		bytes += n;
		len -= n;
		if (ws->n_carry < WORD)
			return 0;
		ws->n_carry = 0;
		ret = take_words(b, which, ws->carry, 1, err);
		if (ret != 0)
			return ret;
	}
	if (len >= WORD) {
		ret = take_words(b, which, bytes, len / WORD, err);
		if (ret != 0)
			return ret;
	}
	ws->n_carry = (unsigned)(len % WORD);
	memcpy(ws->carry, bytes + len - ws->n_carry, ws->n_carry);
	return 0;
}

int
gw_builder_text(
	struct gw_builder *b, enum gw_text which, char *data, size_t len, struct gw_error *err)
{
	if (b->texts[which].data) {
		free(data);
		return gw_observe_fail(err, -EINVAL, "%s: is there twice", gw_text_names[which]);
	}
	b->texts[which] = (struct gw_text_file){data, len};
	return 0;
}

static int
check_words(const struct gw_builder *b, struct gw_error *err)
{
	const struct gw_word_stream *flags = &b->words[GW_WORDS_FLAGS];
	const struct gw_word_stream *count = &b->words[GW_WORDS_COUNT];

	if (!flags->seen)
		return gw_observe_fail(err, -EINVAL, "kpageflags: is missing");
	for (unsigned i = 0; i < GW_WORDS_NR; i++) {
		if (b->words[i].n_carry)
			return gw_observe_fail(err, -EINVAL,
				"%s: its size is not a multiple of 8 bytes", gw_words_names[i]);
	}
	if (flags->n_words == 0)
		return gw_observe_fail(err, -EINVAL, "kpageflags: is empty");
	if (count->seen && count->n_words != flags->n_words)
		return gw_observe_fail(err, -EINVAL,
			"kpagecount: has %llu frames where kpageflags has %llu",
			(unsigned long long)count->n_words, (unsigned long long)flags->n_words);
	if (!b->any_flag)
		return gw_observe_fail(err, -EINVAL,
			"kpageflags: all zero, as a kernel shows it without permission");
	return 0;
}

static int
check_zones(const struct gw_snapshot *snap, struct gw_error *err)
{
	for (unsigned i = 0; i < snap->n_zones; i++) {
		const struct gw_zone_snapshot *zone = &snap->zones[i];

		if (zone->start_pfn + zone->spanned > snap->n_frames)
			return gw_observe_fail(err, -EINVAL,
				"zoneinfo: zone %s of node %d ends at frame %llu, kpageflags at %u",
				zone->name, zone->node,
				(unsigned long long)(zone->start_pfn + zone->spanned),
				snap->n_frames);
	}
	return 0;
}

/* No zone owns these, so they are no memory, whatever their flags. */
static void
holes_outside_zones(struct gw_snapshot *snap)
{
	gw_pfn_t pfn = 0;

	for (unsigned i = 0; i <= snap->n_zones; i++) {
		gw_pfn_t start = i < snap->n_zones ? snap->zones[i].start_pfn : snap->n_frames;

		for (; pfn < start; pfn++)
			snap->frames[pfn] = GW_KIND_HOLE;
		if (i < snap->n_zones)
			pfn = (gw_pfn_t)(start + snap->zones[i].spanned);
	}
}

/*
 * Between the ranges of RAM, what has no flag is no memory, and what is reserved is
 * firmware's: both are spanned, not present. Any other kind is in use: that is stronger
 * evidence than the list of ranges.
 */
static void
holes_outside_ram(struct gw_snapshot *snap)
{
	gw_pfn_t pfn = 0;

	for (unsigned i = 0; i <= snap->n_ram; i++) {
		gw_pfn_t start = i < snap->n_ram ? snap->ram[i].start : snap->n_frames;

		for (; pfn < start && pfn < snap->n_frames; pfn++) {
			enum gw_kind kind = gw_frame_kind(snap->frames[pfn]);

			if (kind == GW_KIND_NOFLAG || kind == GW_KIND_RESERVED)
				snap->frames[pfn] = GW_KIND_HOLE;
		}
		if (i < snap->n_ram)
			pfn = snap->ram[i].end;
	}
}

static void
note_missing(struct gw_snapshot *snap, const char *name)
{
	size_t len = strlen(snap->missing);

	(void)snprintf(
		snap->missing + len, sizeof(snap->missing) - len, "%s%s", len ? ", " : "", name);
}

typedef int (*text_parser)(
	const char *text, size_t len, struct gw_snapshot *snap, struct gw_error *err);

static const text_parser parsers[GW_TEXT_NR] = {
	[GW_TEXT_ZONEINFO] = gw_parse_zoneinfo,
	[GW_TEXT_BUDDYINFO] = gw_parse_buddyinfo,
	[GW_TEXT_PAGETYPEINFO] = gw_parse_pagetypeinfo,
	[GW_TEXT_VMSTAT] = gw_parse_vmstat,
	[GW_TEXT_IOMEM] = gw_parse_iomem,
	[GW_TEXT_SYSCTL] = gw_parse_sysctl,
	[GW_TEXT_UNAME] = gw_parse_uname,
};

/* In the order of enum gw_text, which puts each text behind those it needs. */
static int
parse_texts(struct gw_builder *b, struct gw_error *err)
{
	for (unsigned i = 0; i < GW_TEXT_NR; i++) {
		const struct gw_text_file *text = &b->texts[i];
		bool needed = i == GW_TEXT_ZONEINFO || i == GW_TEXT_BUDDYINFO;
		int ret;

		if (text->len == 0 && needed)
			return gw_observe_fail(err, -EINVAL, "%s: is %s", gw_text_names[i],
				text->data ? "empty" : "missing");
		if (text->len == 0) {
			note_missing(&b->snap, gw_text_names[i]);
			continue;
		}
		ret = parsers[i](text->data, text->len, &b->snap, err);
		if (ret != 0)
			return ret;
	}
	if (b->snap.n_ram == 0 && b->texts[GW_TEXT_IOMEM].len > 0)
		note_missing(&b->snap, "iomem"); /* its addresses were hidden */
	if (!b->words[GW_WORDS_COUNT].seen)
		note_missing(&b->snap, "kpagecount");
	return 0;
}

int
gw_builder_finish(struct gw_builder *b, struct gw_snapshot *out, struct gw_error *err)
{
	struct gw_snapshot *snap = &b->snap;
	gw_frame_t *shrunk;
	int ret = check_words(b, err);

	if (ret != 0)
		return ret;
	snap->n_frames = (gw_pfn_t)b->words[GW_WORDS_FLAGS].n_words;
	ret = parse_texts(b, err);
	if (ret == 0)
		ret = check_zones(snap, err);
	if (ret != 0)
		return ret;

	if (snap->pageblock_order >= snap->n_orders) /* the default, on an odd kernel */
		snap->pageblock_order = snap->n_orders - 1;
	holes_outside_zones(snap);
	if (snap->n_ram > 0)
		holes_outside_ram(snap);
	shrunk = realloc(snap->frames, snap->n_frames * sizeof(*shrunk));
	if (shrunk)
		snap->frames = shrunk;
	*out = *snap;
	memset(snap, 0, sizeof(*snap));
	return 0;
}

void
gw_snapshot_free(struct gw_snapshot *snap)
{
	if (!snap)
		return;
	free(snap->frames);
	free(snap->zones);
	free(snap->ram);
	free(snap->counters);
	memset(snap, 0, sizeof(*snap));
}

uint64_t
gw_snapshot_counter(const struct gw_snapshot *snap, const char *name, uint64_t absent)
{
	for (unsigned i = 0; i < snap->n_counters; i++) {
		if (strcmp(snap->counters[i].name, name) == 0)
			return snap->counters[i].value;
	}
	return absent;
}
