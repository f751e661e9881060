/* SPDX-License-Identifier: MIT */
/*
 * json_host.c - what the JSON reports about a host share.
 */
#include "report_internal.h"

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
