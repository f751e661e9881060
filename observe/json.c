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
