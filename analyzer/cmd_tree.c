/*
 * mtdump tree: the call tree with what each path did, all below it included.
 */
#include <stdlib.h>
#include <string.h>

#include "analyzer/charges.h"
#include "analyzer/command.h"
#include "analyzer/message.h"
#include "analyzer/tree_view.h"

#define INVERTED_LEVELS 64U     /* of callers, if --depth does not say */

struct tree_options {
	enum tree_value sort;
	bool inverted;
	bool by_process;
	const char *focus;
	uint64_t depth;
	uint64_t share_permille;
	bool share_given;
	enum table_format format;
};

static const char *set_sort(void *field, const char *argument)
{
	for (int i = 0; i < TREE_VALUES; i++) {
		if (!strcmp(argument, tree_value_names[i])) {
			*(enum tree_value *)field = (enum tree_value)i;
			return NULL;
		}
	}
	return "not one of: grown, released, net, uncertain, peak, time, calls";
}

static const char *set_by(void *field, const char *argument)
{
	if (strcmp(argument, "process") != 0)
		return "not process";
	*(bool *)field = true;
	return NULL;
}

/* "1", "0.5", "2%": in tenths of a per cent. */
static const char *set_share(void *field, const char *argument)
{
	struct tree_options *options = field;
	uint64_t permille = 0;
	const char *at = argument;
	bool point = false;
	unsigned digits = 0;
	for (; (*at >= '0' && *at <= '9') || (*at == '.' && !point); at++) {
		if (*at == '.') {
			point = true;
			continue;
		}
		if (point && digits == 1)
			return "not a percentage with at most one digit behind the point";
		permille = permille * 10 + (uint64_t)(*at - '0');
		digits += point;
		if (permille > 1000)
			break;
	}
	if (!digits)
		permille *= 10;
	if (*at == '%')
		at++;
	if (*at || at == argument || permille > 1000)
		return "not a percentage with at most one digit behind the point";
	options->share_permille = permille;
	options->share_given = true;
	return NULL;
}

#define OFFSET(field) offsetof(struct tree_options, field)

static const struct option_spec tree_option_rows[] = {
	{ 's', "sort", "COLUMN", set_sort, OFFSET(sort),
	  "sort, fold and collapse by: grown (the default), released, net, uncertain, peak, time or calls",
	  "grown released net uncertain peak time calls" },
	{ 0, "inverted", NULL, set_flag, OFFSET(inverted), "functions first, and below each its callers", NULL },
	{ 0, "focus", "GLOB", set_string, OFFSET(focus), "only paths through a function of a matching name",
	  NULL },
	{ 0, "depth", "N", set_uint, OFFSET(depth), "N levels at most", NULL },
	{ 0, "min-share", "PERCENT", set_share, 0,
	  "fold paths with less than this share of the whole (default: 1 as text, else 0)", NULL },
	{ 0, "by", "process", set_by, OFFSET(by_process), "a tree for each trace, not one for all", "process" },
	{ 0, "format", "NAME", set_table_format, OFFSET(format),
	  "text (the default), json, csv, ndjson, or collapsed for flame graphs", "text json csv ndjson collapsed" },
	{ 0, "json", NULL, set_table_json, OFFSET(format), "the same as --format=json", NULL },
	{ 0 },
};

/* Keep what is at or below functions that --focus names, and how often what is above was called. */
static bool apply_focus(struct charges *charges, const char *glob)
{
	struct tree *tree = charges->tree;
	const uint32_t count = functions_count(charges->functions);
	bool *matches = calloc(count, sizeof(*matches));
	bool *inside = calloc(tree->count, sizeof(*inside));
	bool *above = calloc(tree->count, sizeof(*above));
	if (!matches || !inside || !above) {
		free(matches);
		free(inside);
		free(above);
		return false;
	}
	for (uint32_t i = FUNCTIONS_FIRST; i < count; i++)
		matches[i] = charges_name_matches(charges, glob, i);
	for (uint32_t i = 0; i < tree->count; i++) {
		const struct tree_node *node = &tree->nodes[i];
		inside[i] = matches[node->function] || (i != TREE_ROOT && inside[node->parent]);
	}
	for (uint32_t i = tree->count; i--;) {
		struct tree_node *node = &tree->nodes[i];
		if (i != TREE_ROOT && (inside[i] || above[i]))
			above[node->parent] = true;
		if (inside[i])
			continue;
		if (!above[i])
			node->calls = node->resumed = 0;
		node->time_ns = 0;
		node->grown = node->released = node->unsure_grown = node->unsure_released = node->peak = 0;
	}
	free(matches);
	free(inside);
	free(above);
	return true;
}

static bool print_tree(struct charges *charges, const struct tree_options *options, struct out *out,
		       struct json *json, const struct out_options *out_options)
{
	struct tree_view view = {
		.tree = charges->tree, .functions = charges->functions, .value = options->sort,
		.inverted = options->inverted, .depth_max = options->depth,
		.share_permille = options->share_permille,
	};
	struct tree *inverted = NULL;
	view.width = table_screen_width(out_options->path, &view.cut);
	if (!charges_apply_names(charges) || (options->focus && !apply_focus(charges, options->focus)))
		return false;
	if (options->inverted) {
		const uint64_t levels = options->depth ? options->depth : INVERTED_LEVELS;
		inverted = tree_invert(charges->tree, levels < UINT32_MAX ? (uint32_t)levels : UINT32_MAX);
		if (!inverted)
			return false;
		view.tree = inverted;
	}
	if (options->format == TABLE_JSON) {
		json_string(json, "sort", tree_value_names[options->sort]);
		json_bool(json, "inverted", options->inverted);
		charges_head_json(charges, json);
	} else if (options->format == TABLE_TEXT) {
		charges_head_text(charges, out);
		out_string(out, "\n");
	}
	const bool good = tree_view_print(&view, out, options->format, json);
	tree_free(inverted);
	return good;
}

/* One output of `count` traces together. False if it cannot go on. */
static bool run(const struct tree_options *options, const struct charges_options *charges_options, char **paths,
		int count, struct out **out, struct json *json, const struct out_options *out_options)
{
	struct charges charges;
	bool good = true;
	if (charges_read(&charges, charges_options, paths, count, NULL)) {
		const bool first = !*out;
		if (first)
			*out = out_open(out_options);
		good = *out;
		if (good && options->format == TABLE_JSON) {
			if (first) {
				json_init(json, *out);
				if (options->by_process)
					json_array_begin(json, NULL);
			}
			json_object_begin(json, NULL);
		} else if (good && !first && options->format == TABLE_TEXT) {
			out_string(*out, "\n");
		}
		if (good && !print_tree(&charges, options, *out, json, out_options)) {
			message_trace_error(paths[0], UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
			good = false;
		}
		if (good && options->format == TABLE_JSON)
			json_object_end(json);
	}
	charges_release(&charges);
	return good;
}

void cmd_tree(const struct command *command, int argc, char **argv)
{
	struct tree_options options = { 0 };
	struct charges_options charges_options = { 0 };
	struct out_options out_options = { 0 };
	int first = 0;
	if (!charges_parse(command, "tree", tree_option_rows, &options, &charges_options, &out_options, argc, argv, &first))
		return;
	if (options.inverted && options.format == TABLE_COLLAPSED) {
		message_error(EXIT_USAGE, NULL, "--inverted and --format=collapsed exclude each other");
		return;
	}
	if (options.by_process && (options.format == TABLE_CSV || options.format == TABLE_NDJSON ||
				   options.format == TABLE_COLLAPSED)) {
		message_error(EXIT_USAGE, NULL, "--by process goes with text and json only");
		return;
	}
	if (!options.share_given && options.format == TABLE_TEXT)
		options.share_permille = 10;

	struct out *out = NULL;
	struct json json = { 0 };
	if (!options.by_process)
		run(&options, &charges_options, argv + first, argc - first, &out, &json, &out_options);
	for (int i = first; options.by_process && i < argc; i++)
		if (!run(&options, &charges_options, argv + i, 1, &out, &json, &out_options))
			break;
	if (out && options.format == TABLE_JSON && options.by_process)
		json_array_end(&json);
	out_close(out);
}
