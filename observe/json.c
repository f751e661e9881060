/* SPDX-License-Identifier: MIT */
/*
 * json.c - what the JSON reports share.
 *
 * Idea. Objects are built with jansson and dumped on one line, their members in the order in
 * which docs/json.md lists them.
 */
#include <errno.h>
#include <stdlib.h>

#include "report_internal.h"

void
gw_json_set(json_t **object, const char *key, json_t *value)
{
	if (json_object_set_new(*object, key, value) != 0) {
		json_decref(*object);
		*object = NULL;
	}
}

void
gw_json_append(json_t **array, json_t *value)
{
	if (json_array_append_new(*array, value) != 0) {
		json_decref(*array);
		*array = NULL;
	}
}

json_t *
gw_json_text(const char *text)
{
	json_t *string = json_string(text); /* NULL if it is no UTF-8 */

	return string ? string : json_string(gw_text_clean(text, GW_MESSAGE_MAX).s);
}

json_t *
gw_json_uint(uint64_t value)
{
	return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

json_t *
gw_json_counts(const uint64_t *values, unsigned n)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < n; i++)
		gw_json_append(&array, gw_json_uint(values[i]));
	return array;
}

json_t *
gw_json_states(const struct gw_block_contents *blocks, gw_pfn_t n_blocks)
{
	uint64_t counts[GW_BLOCK_STATES] = {0};
	json_t *object = json_object();

	for (gw_pfn_t b = 0; b < n_blocks; b++)
		counts[gw_block_state(&blocks[b])]++;
	for (unsigned s = 0; s < GW_BLOCK_STATES; s++)
		gw_json_set(&object, gw_block_state_names[s], gw_json_uint(counts[s]));
	return object;
}

json_t *
gw_json_notes(const struct gw_twin_notes *n)
{
	json_t *object = json_object();

	gw_json_set(&object, "noflag", gw_json_uint(n->noflag));
	gw_json_set(&object, "pcp_reported", gw_json_uint(n->pcp_reported));
	gw_json_set(&object, "pcp_placed", gw_json_uint(n->pcp_placed));
	gw_json_set(&object, "pcp_certain", gw_json_uint(n->pcp_certain));
	gw_json_set(&object, "pcp_confidence", gw_json_uint(n->pcp_confidence));
	gw_json_set(&object, "pcp_drained", gw_json_uint(n->pcp_drained));
	gw_json_set(&object, "unmanaged", gw_json_uint(n->unmanaged));
	gw_json_set(&object, "kernel_inferred", gw_json_uint(n->kernel_inferred));
	gw_json_set(&object, "torn_folios", gw_json_uint(n->torn_folios));
	gw_json_set(&object, "torn_blocks", gw_json_uint(n->torn_blocks));
	gw_json_set(&object, "free_difference", json_integer(n->free_difference));
	return object;
}

json_t *
gw_json_begin(const char *schema, const struct gw_snapshot *snap)
{
	json_t *object = json_object();

	gw_json_set(&object, "schema", json_string(schema));
	gw_json_set(&object, "version", json_integer(1));
	gw_json_set(&object, "source", gw_json_text(snap->source));
	gw_json_set(&object, "kernel", gw_json_text(snap->kernel));
	gw_json_set(&object, "missing", gw_json_text(snap->missing));
	gw_json_set(&object, "page_size", gw_json_uint(GW_PAGE_SIZE));
	gw_json_set(&object, "pageblock_order", gw_json_uint(snap->pageblock_order));
	return object;
}

int
gw_json_end(FILE *out, json_t *object)
{
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

	json_decref(object);
	if (!text)
		return -ENOMEM;
	fputs(text, out);
	fputc('\n', out);
	free(text);
	return 0;
}
