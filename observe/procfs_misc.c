/* SPDX-License-Identifier: MIT */
/*
 * procfs_misc.c - the short files: vmstat, iomem, the sysctls and uname.
 *
 * Invariants
 *   M1  ram[] is ascending, its ranges neither touch nor are empty
 *   M2  text that will be shown to people holds printable ASCII only
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "procfs.h"

/* A kernel has some 200; the list depends on its configuration. */
#define COUNTERS_MAX 4096
#define RAM_MAX	     65536

static bool
grow_counters(struct gw_snapshot *snap)
{
	struct gw_vm_counter *grown;

	/* Room for 64 more whenever the last 64 are used up. */
	if (snap->n_counters % 64 != 0)
		return true;
	grown = realloc(snap->counters, (snap->n_counters + 64) * sizeof(*grown));
	if (!grown)
		return false;
	snap->counters = grown;
	return true;
}

int
gw_parse_vmstat(const char *text, size_t len, struct gw_snapshot *snap, struct gw_error *err)
{
	struct gw_line line;

	gw_line_init(&line, text, len);
	while (gw_line_next(&line)) {
		struct gw_vm_counter *counter;
		struct gw_word name;
		uint64_t value;

		if (!gw_line_word(&line, &name))
			continue;
		if (gw_line_number(&line, &value) != 0)
			return gw_observe_fail(err, -EINVAL,
				"vmstat: line %u: not a name and a number of 64 bits", line.number);
		/* M2; and none of those known today is that long. */
		if (name.len >= sizeof(counter->name) || !gw_word_is_printable(&name))
			continue;
		if (snap->n_counters == COUNTERS_MAX)
			return gw_observe_fail(
				err, -EINVAL, "vmstat: more than %d counters", COUNTERS_MAX);
		if (!grow_counters(snap))
			return gw_observe_fail(err, -ENOMEM, "vmstat: out of memory");
		counter = &snap->counters[snap->n_counters++];
		*counter = (struct gw_vm_counter){.value = value};
		memcpy(counter->name, name.p, name.len);
	}
	return 0;
}

/* "100000000-63fffffff : System RAM". Ends are inclusive; the range may be hidden (0-0). */
struct iomem_line {
	uint64_t first, last;
	bool is_ram;
};

/*
 * Nested lines are parts of the one above and never more memory, except memory that a
 * driver added: "System RAM (kmem)", "System RAM (virtio_mem)".
 */
static bool
parse_iomem_line(struct gw_line *line, struct iomem_line *out)
{
	bool nested = *line->p == ' ' || *line->p == '\t';

	if (gw_line_hex(line, &out->first) != 0 || !gw_line_skip(line, "-") ||
		gw_line_hex(line, &out->last) != 0 || !gw_line_skip(line, ":"))
		return false;
	out->is_ram = false;
	if (gw_line_skip(line, "System RAM"))
		out->is_ram = gw_line_at_end(line) ? !nested : gw_line_skip(line, "(");
	return true;
}

/* Whole frames only, and only those that have a number. */
static struct gw_ram_range
frames_inside(const struct iomem_line *io)
{
	uint64_t start = (io->first >> GW_PAGE_SHIFT) + ((io->first & (GW_PAGE_SIZE - 1)) != 0);
	uint64_t end =
		(io->last >> GW_PAGE_SHIFT) + ((io->last & (GW_PAGE_SIZE - 1)) == GW_PAGE_SIZE - 1);

	if (start > GW_PFN_MAX)
		start = GW_PFN_MAX;
	if (end > GW_PFN_MAX)
		end = GW_PFN_MAX;
	return (struct gw_ram_range){(gw_pfn_t)start, (gw_pfn_t)end};
}

static int
add_ram(struct gw_snapshot *snap, struct gw_ram_range range, struct gw_error *err)
{
	struct gw_ram_range *grown;

	if (range.start >= range.end)
		return 0;
	if (snap->n_ram == RAM_MAX)
		return gw_observe_fail(err, -EINVAL, "iomem: more than %d ranges of RAM", RAM_MAX);
	if (snap->n_ram % 16 == 0) {
		grown = realloc(snap->ram, (snap->n_ram + 16) * sizeof(*grown));
		if (!grown)
			return gw_observe_fail(err, -ENOMEM, "iomem: out of memory");
		snap->ram = grown;
	}
	snap->ram[snap->n_ram++] = range;
	return 0;
}

static int
by_start(const void *a, const void *b)
{
	const struct gw_ram_range *ra = a, *rb = b;

	return (ra->start > rb->start) - (ra->start < rb->start);
}

static void
merge_ram(struct gw_snapshot *snap)
{
	struct gw_ram_range *ram = snap->ram;
	unsigned last = 0;

	if (snap->n_ram == 0)
		return;
	qsort(ram, snap->n_ram, sizeof(*ram), by_start);
	for (unsigned i = 1; i < snap->n_ram; i++) {
		if (ram[i].start > ram[last].end)
			ram[++last] = ram[i];
		else if (ram[i].end > ram[last].end)
			ram[last].end = ram[i].end;
	}
	snap->n_ram = last + 1;
}

int
gw_parse_iomem(const char *text, size_t len, struct gw_snapshot *snap, struct gw_error *err)
{
	struct gw_line line;

	gw_line_init(&line, text, len);
	while (gw_line_next(&line)) {
		struct iomem_line io;
		int ret;

		if (line.p == line.end)
			continue;
		if (!parse_iomem_line(&line, &io))
			return gw_observe_fail(err, -EINVAL,
				"iomem: line %u: not \"START-END : NAME\"", line.number);
		if (!io.is_ram)
			continue;
		if (io.last < io.first)
			return gw_observe_fail(
				err, -EINVAL, "iomem: line %u: ends before it starts", line.number);
		ret = add_ram(snap, frames_inside(&io), err);
		if (ret != 0)
			return ret;
	}
	merge_ram(snap);
	return 0;
}

/* A known sysctl's value, which must be in 0 .. max. */
static int
sysctl_value(
	struct gw_line *line, const char *name, uint64_t max, uint64_t *value, struct gw_error *err)
{
	if (gw_line_number(line, value) != 0 || *value > max)
		return gw_observe_fail(err, -EINVAL,
			"sysctl: line %u: %s is not a number up to %llu", line->number, name,
			(unsigned long long)max);
	return 0;
}

int
gw_parse_sysctl(const char *text, size_t len, struct gw_snapshot *snap, struct gw_error *err)
{
	struct gw_line line;

	gw_line_init(&line, text, len);
	while (gw_line_next(&line)) {
		struct gw_word name;
		uint64_t value;
		int ret = 0;

		if (!gw_line_word(&line, &name))
			continue;
		if (gw_word_is(&name, "extfrag_threshold")) {
			ret = sysctl_value(&line, "extfrag_threshold", 1000, &value, err);
			if (ret == 0)
				snap->extfrag_threshold = (int)value;
		} else if (gw_word_is(&name, "compact_unevictable_allowed")) {
			ret = sysctl_value(&line, "compact_unevictable_allowed", 1, &value, err);
			if (ret == 0)
				snap->compact_unevictable_allowed = (int)value;
		} else if (gw_word_is(&name, "nr_hugepages")) {
			ret = sysctl_value(&line, "nr_hugepages", GW_PFN_MAX, &value, err);
			if (ret == 0)
				snap->nr_hugepages = value;
		}
		if (ret != 0)
			return ret;
	}
	return 0;
}

int
gw_parse_uname(const char *text, size_t len, struct gw_snapshot *snap, struct gw_error *err)
{
	size_t n = 0;

	(void)err; /* any text is a name */
	for (size_t i = 0; i < len && text[i] != '\n' && n < sizeof(snap->kernel) - 1; i++)
		snap->kernel[n++] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?'; /* M2 */
	snap->kernel[n] = '\0';
	return 0;
}
