/*
 * Bounds: read from the command line, and held against what one pass over a trace found.
 */
#include "analyzer/bounds.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/diff.h"
#include "analyzer/growth.h"
#include "analyzer/message.h"
#include "analyzer/tree_view.h"
#include "analyzer/units.h"

const char *const bound_kind_names[] = {
	"max-peak", "max-drss", "max-growth", "baseline-peak", "baseline-growth",
};

struct bounds *bounds_new(void)
{
	return calloc(1, sizeof(struct bounds));
}

static void place_release(struct bound_place *place)
{
	free(place->name);
	free(place->file);
	free(place->shown);
}

void bounds_free(struct bounds *bounds)
{
	if (!bounds)
		return;
	for (size_t i = 0; i < bounds->count; i++)
		free(bounds->list[i].glob);
	for (size_t i = 0; i < bounds->finding_count; i++)
		place_release(&bounds->findings[i].place);
	free(bounds->list);
	free(bounds->findings);
	free(bounds);
}

static struct bound *add_bound(struct bounds *bounds, enum bound_kind kind, const char *argument)
{
	struct bound *list = realloc(bounds->list, (bounds->count + 1) * sizeof(*list));
	if (!list)
		return NULL;
	bounds->list = list;
	list[bounds->count] = (struct bound){ .kind = kind, .argument = argument };
	return &list[bounds->count++];
}

/* NULL without memory. Its place is not filled in. */
static struct bound_finding *add_finding(struct bounds *bounds, size_t bound, const char *trace)
{
	struct bound_finding *findings =
		realloc(bounds->findings, (bounds->finding_count + 1) * sizeof(*findings));
	if (!findings)
		return NULL;
	bounds->findings = findings;
	findings[bounds->finding_count] = (struct bound_finding){ .bound = bound, .trace = trace };
	return &findings[bounds->finding_count++];
}

const char *bounds_add(struct bounds *bounds, enum bound_kind kind, const char *argument)
{
	static const char per_call[] = "/call";
	uint64_t bytes;
	const char *equals = kind == BOUND_MAX_PEAK ? NULL : strrchr(argument, '=');
	if (kind != BOUND_MAX_PEAK && (!equals || equals == argument))
		return kind == BOUND_MAX_DRSS ? "not GLOB=SIZE" : "not GLOB=SIZE/call";
	char *size = strdup(equals ? equals + 1 : argument);
	char *glob = equals ? strndup(argument, (size_t)(equals - argument)) : NULL;
	const char *wrong = NULL;
	if (!size || (equals && !glob)) {
		wrong = "too much for the memory";
	} else if (kind == BOUND_MAX_GROWTH) {
		const size_t length = strlen(size);
		const size_t behind = sizeof(per_call) - 1;
		if (length <= behind || strcmp(size + length - behind, per_call) != 0)
			wrong = "not GLOB=SIZE/call";
		else
			size[length - behind] = '\0';
	}
	if (!wrong && (!units_parse_size(size, &bytes) || bytes > INT64_MAX))
		wrong = "without a size (such as 4096, 4K or 1.5MiB)";
	struct bound *bound = wrong ? NULL : add_bound(bounds, kind, argument);
	if (bound) {
		bound->limit = (int64_t)bytes;
		bound->glob = glob;
		glob = NULL;
	} else if (!wrong) {
		wrong = "too much for the memory";
	}
	free(size);
	free(glob);
	return wrong;
}

/*
 * One trace
 */

/* The steps of functions that match one GLOB. */
struct steps {
	const struct bound *bound;        /* NULL: another kind */
	uint8_t *functions;             /* by number: NOT_ASKED ... */
	uint32_t room;
	int64_t worst;                  /* bytes; 0: none */
	uint32_t node;
	uint64_t event;
	size_t broken;                  /* functions */
	uint64_t unsure;                /* uncertain steps above the bound */
};
enum { NOT_ASKED, NO, YES, BROKEN };

/* What one pass collects. */
struct pass {
	struct charges *charges;
	struct growth *growth;          /* NULL: nobody asks */
	struct steps *steps;            /* by bound */
	size_t count;
	uint32_t peak_node;
	bool out_of_memory;
};

/* The state of a function for a GLOB; NULL without memory. */
static uint8_t *asked(struct pass *pass, struct steps *steps, uint32_t function)
{
	if (function >= steps->room) {
		uint32_t room = steps->room ? steps->room : 256;
		while (room <= function)
			room *= 2;
		uint8_t *functions = realloc(steps->functions, room);
		if (!functions) {
			pass->out_of_memory = true;
			return NULL;
		}
		memset(functions + steps->room, NOT_ASKED, room - steps->room);
		steps->functions = functions;
		steps->room = room;
	}
	uint8_t *state = &steps->functions[function];
	if (*state == NOT_ASKED)
		*state = function >= FUNCTIONS_FIRST &&
			 charges_name_matches(pass->charges, steps->bound->glob, function) ? YES : NO;
	return state;
}

static bool is_python(const struct functions *functions, uint32_t function)
{
	return functions_get(functions, function)->sort == FUNCTION_PYTHON;
}

/* The node of the Python function that is running, or that called the C function that is; TREE_ROOT: none. */
static uint32_t python_node(const struct charges *charges, uint32_t node)
{
	while (node != TREE_ROOT && !is_python(charges->functions, charges->tree->nodes[node].function))
		node = charges->tree->nodes[node].parent;
	return node;
}

static void take_step(struct pass *pass, struct steps *steps, const struct stacks_stretch *stretch)
{
	const struct tree_node *nodes = pass->charges->tree->nodes;
	uint8_t *state = asked(pass, steps, nodes[stretch->node].function);
	if (state && *state == NO)
		state = asked(pass, steps, nodes[python_node(pass->charges, stretch->node)].function);
	if (!state || *state == NO)
		return;
	if (!stretch->certain) {
		steps->unsure += stretch->bytes > steps->bound->limit;
		return;
	}
	if (stretch->bytes > steps->bound->limit && *state == YES) {
		*state = BROKEN;
		steps->broken++;
	}
	if (stretch->bytes > steps->worst) {
		steps->worst = stretch->bytes;
		steps->node = stretch->node;
		steps->event = stretch->number;
	}
}

static void on_stretch(void *context, const struct stacks_stretch *stretch)
{
	struct pass *pass = context;
	for (size_t i = 0; stretch->bytes > 0 && i < pass->count; i++)
		if (pass->steps[i].bound)
			take_step(pass, &pass->steps[i], stretch);
}

static void on_left(void *context, const struct stacks_left *left)
{
	struct pass *pass = context;
	growth_left(pass->growth, left);
}

static void on_end(void *context, struct charges *charges, const struct charges_trace *trace, struct stream *stream)
{
	struct pass *pass = context;
	const struct stacks_peak *peak = stacks_peak(charges->stacks);
	(void)trace;
	(void)stream;
	pass->peak_node = peak->frame_count ? peak->frames[peak->frame_count - 1].node : TREE_ROOT;
	if (pass->growth)
		growth_next_trace(pass->growth);
}

static char *copy_bytes(struct function_text text, size_t *size_out)
{
	char *copy = malloc((size_t)text.size + 1);
	if (!copy)
		return NULL;
	memcpy(copy, text.bytes, text.size);
	copy[text.size] = '\0';
	*size_out = text.size;
	return copy;
}

/* "bytes < load  cache.py:12" of a C function and its caller; NULL without memory. */
static char *label_of(struct functions *functions, uint32_t function, uint32_t caller)
{
	char *label = tree_view_label(functions, function == caller ? function : caller);
	if (function == caller || !label)
		return label;
	const char *name = functions_name(functions, function);
	const size_t size = strlen(name) + strlen(label) + 4;
	char *both = malloc(size);
	if (both)
		snprintf(both, size, "%s < %s", name, label);
	free(label);
	return both;
}

static bool fill_place(const struct charges *charges, uint32_t node, struct bound_place *place)
{
	const uint32_t function = charges->tree->nodes[node].function;
	if (function < FUNCTIONS_FIRST)
		return true;
	const uint32_t above = python_node(charges, node);
	const uint32_t caller = above == TREE_ROOT ? function : charges->tree->nodes[above].function;
	place->name = copy_bytes(functions_get(charges->functions, function)->name, &place->name_size);
	place->file = copy_bytes(functions_get(charges->functions, caller)->file, &place->file_size);
	place->line = functions_get(charges->functions, caller)->first_line;
	place->shown = label_of(charges->functions, function, caller);
	return place->name && place->file && place->shown;
}

static bool find_peak(struct bounds *bounds, size_t bound, const struct pass *pass, const char *path)
{
	const struct charges_trace *trace = &pass->charges->traces[0];
	if (!trace->totals.records)
		return true;
	struct bound_finding *finding = add_finding(bounds, bound, path);
	if (!finding)
		return false;
	bounds->list[bound].matched = bounds->list[bound].judged = true;
	finding->has_value = true;
	finding->value = trace->rss_peak;
	finding->event = trace->peak_number;
	finding->result = trace->rss_peak > bounds->list[bound].limit ? BOUND_BROKEN : BOUND_HOLDS;
	return fill_place(pass->charges, pass->peak_node, &finding->place);
}

/* Is there any function that was met and matches? */
static bool any_matches(const struct pass *pass, const char *glob)
{
	const uint32_t count = functions_count(pass->charges->functions);
	for (uint32_t i = FUNCTIONS_FIRST; i < count; i++)
		if (charges_name_matches(pass->charges, glob, i))
			return true;
	return false;
}

static bool find_step(struct bounds *bounds, size_t index, const struct pass *pass, const char *path)
{
	struct bound *bound = &bounds->list[index];
	const struct steps *steps = &pass->steps[index];
	if (!any_matches(pass, bound->glob))
		return true;
	bound->matched = bound->judged = true;
	if (steps->unsure)
		message_note(path, "--max-drss=%s: %" PRIu64 " uncertain step%s above it, which others may have made, "
			     "not counted", message_quote(bound->argument), steps->unsure, steps->unsure > 1 ? "s" : "");
	struct bound_finding *finding = add_finding(bounds, index, path);
	if (!finding)
		return false;
	finding->has_value = steps->worst > 0;
	finding->value = steps->worst;
	finding->event = steps->event;
	finding->result = steps->broken ? BOUND_BROKEN : BOUND_HOLDS;
	finding->more = steps->broken ? steps->broken - 1 : 0;
	return fill_place(pass->charges, steps->node, &finding->place);
}

static bool find_growth(struct bounds *bounds, size_t index, const struct pass *pass, const char *path)
{
	struct bound *bound = &bounds->list[index];
	const struct tree *tree = pass->charges->tree;
	const struct growth_path *worst = NULL;
	const uint64_t least = bounds->min_calls ? bounds->min_calls : GROWTH_CALLS_DEFAULT;
	size_t broken = 0;
	bool judged = false;
	if (!any_matches(pass, bound->glob))
		return true;
	bound->matched = true;
	for (uint32_t i = 1; i < tree->count && !judged; i++)
		judged = tree->nodes[i].calls + tree->nodes[i].resumed >= least &&
			 tree->nodes[i].function >= FUNCTIONS_FIRST &&
			 charges_name_matches(pass->charges, bound->glob, tree->nodes[i].function);
	if (!judged)
		return true;
	bound->judged = true;
	for (size_t i = 0; i < pass->growth->path_count; i++) {
		const struct growth_path *grown = &pass->growth->paths[i];
		const uint32_t function = tree->nodes[grown->node].function;
		if (grown->verdict != GROWTH_GROWS || function < FUNCTIONS_FIRST ||
		    !charges_name_matches(pass->charges, bound->glob, function))
			continue;
		broken += grown->low > (double)bound->limit;
		if (!worst || grown->low > worst->low)
			worst = grown;
	}
	struct bound_finding *finding = add_finding(bounds, index, path);
	if (!finding)
		return false;
	finding->result = broken ? BOUND_BROKEN : BOUND_HOLDS;
	finding->more = broken ? broken - 1 : 0;
	if (!worst)
		return true;
	finding->has_value = true;
	finding->value = diff_round(worst->slope);
	finding->low = diff_round(worst->low);
	finding->high = diff_round(worst->high);
	finding->calls = worst->calls;
	return fill_place(pass->charges, worst->node, &finding->place);
}

static bool find_all(struct bounds *bounds, struct pass *pass, const char *path)
{
	const struct growth_options options = {
		.min_calls = bounds->min_calls ? bounds->min_calls : GROWTH_CALLS_DEFAULT,
		.min_bytes = GROWTH_BYTES_DEFAULT,
	};
	if (pass->growth && !growth_judge(pass->growth, pass->charges->tree, pass->charges->functions, &options))
		return false;
	if (pass->growth && pass->growth->without_curve)
		message_note(path, "%" PRIu64 " call paths more than can be judged for --max-growth",
			     pass->growth->without_curve);
	bool good = !pass->out_of_memory;
	for (size_t i = 0; good && i < bounds->count; i++) {
		if (bounds->list[i].kind == BOUND_MAX_PEAK)
			good = find_peak(bounds, i, pass, path);
		else if (bounds->list[i].kind == BOUND_MAX_DRSS)
			good = find_step(bounds, i, pass, path);
		else if (bounds->list[i].kind == BOUND_MAX_GROWTH)
			good = find_growth(bounds, i, pass, path);
	}
	return good;
}

/* What the bounds want to know. False without memory. */
static bool prepare(const struct bounds *bounds, struct pass *pass, struct charges_want *want)
{
	bool want_growth = false;
	pass->count = bounds->count;
	pass->steps = calloc(pass->count + 1, sizeof(*pass->steps));
	*want = (struct charges_want){ .context = pass, .each = on_end };
	for (size_t i = 0; pass->steps && i < bounds->count; i++) {
		if (bounds->list[i].kind == BOUND_MAX_DRSS) {
			pass->steps[i].bound = &bounds->list[i];
			want->stretch = on_stretch;
		}
		want_growth |= bounds->list[i].kind == BOUND_MAX_GROWTH;
	}
	if (want_growth) {
		pass->growth = growth_new();
		want->left = on_left;
	}
	return pass->steps && (!want_growth || pass->growth);
}

bool bounds_trace(struct bounds *bounds, char *path, const struct charges_options *options)
{
	struct charges charges = { 0 };
	struct pass pass = { .charges = &charges };
	struct charges_want want;
	bool good = prepare(bounds, &pass, &want);
	if (!good) {
		message_trace_error(path, UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
	} else if ((good = charges_read(&charges, options, &path, 1, &want))) {
		if (charges.traces[0].totals.lost)
			message_note(path, "%" PRIu64 " events were lost: the rest is checked",
				     charges.traces[0].totals.lost);
		good = find_all(bounds, &pass, path);
		if (!good)
			message_trace_error(path, UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
	}
	charges_release(&charges);
	for (size_t i = 0; pass.steps && i < pass.count; i++)
		free(pass.steps[i].functions);
	free(pass.steps);
	growth_free(pass.growth);
	return good;
}

/*
 * Baselines
 */

/* The call path whose figures rose most. */
static bool blame(const struct diff *diff, enum diff_column column, struct bound_finding *finding)
{
	struct diff_change change;
	uint32_t worst = TREE_ROOT;
	double rise = 0;
	for (uint32_t i = TREE_ROOT + 1; i < diff_row_count(diff); i++) {
		diff_compare(diff, i, column, &change);
		if (change.change > rise && diff_is_beyond(&change)) {
			rise = change.change;
			worst = i;
		}
	}
	if (worst == TREE_ROOT)
		return true;
	struct bound_place *place = &finding->place;
	const struct match_place where = diff_row_place(diff, diff_python_row(diff, worst), MATCH_NEW);
	finding->blamed = diff_round(rise);
	place->name = copy_bytes(diff_row_name(diff, worst), &place->name_size);
	place->file = copy_bytes(where.file, &place->file_size);
	place->line = where.line;
	place->shown = diff_row_shown(diff, worst);
	return place->name && place->file && place->shown;
}

/* Does each run have something to compare? */
static bool all_have_records(const struct diff *diff)
{
	for (int side = 0; side < 2; side++)
		for (size_t i = 0; i < diff_run_count(diff, (enum match_side)side); i++)
			if (!diff_run(diff, (enum match_side)side, i)->totals.records)
				return false;
	return true;
}

static bool compare(struct bounds *bounds, const struct diff *diff, enum bound_kind kind, int64_t tolerance)
{
	const bool is_peak = kind == BOUND_BASELINE_PEAK;
	struct diff_change change;
	diff_compare_whole(diff, is_peak ? DIFF_WHOLE_PEAK : DIFF_WHOLE_GROWTH, &change);
	double tolerated = (double)tolerance;
	if (change.noise_known && change.noise > tolerated)
		tolerated = change.noise;
	struct bound *bound = add_bound(bounds, kind, NULL);
	struct bound_finding *finding = bound ? add_finding(bounds, bounds->count - 1, NULL) : NULL;
	if (!finding)
		return false;
	bound->limit = diff_round(change.old_mean + tolerated);
	bound->matched = bound->judged = true;
	if (!all_have_records(diff)) {
		finding->result = BOUND_NO_EVENTS;
		return true;
	}
	finding->result = change.change > tolerated ? BOUND_BROKEN : BOUND_HOLDS;
	finding->has_value = true;
	finding->value = diff_round(change.new_mean);
	finding->baseline = diff_round(change.old_mean);
	finding->noise_known = change.noise_known;
	finding->noise = diff_round(change.noise);
	return finding->result == BOUND_HOLDS || blame(diff, is_peak ? DIFF_PEAK : DIFF_GROWN, finding);
}

bool bounds_baseline(struct bounds *bounds, char **old, int old_count, char **new, int new_count, int64_t tolerance,
		    const struct charges_options *options)
{
	struct diff *diff = diff_new(DIFF_BY_PATH, options);
	bool good = diff;
	for (int i = 0; good && i < old_count; i++)
		if (!diff_add(diff, MATCH_OLD, old[i]))
			goto out;
	for (int i = 0; good && i < new_count; i++)
		if (!diff_add(diff, MATCH_NEW, new[i]))
			goto out;
	good = good && compare(bounds, diff, BOUND_BASELINE_PEAK, tolerance) &&
	       compare(bounds, diff, BOUND_BASELINE_GROWTH, tolerance);
	if (!good)
		message_trace_error(old[0], UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
	diff_free(diff);
	return good;
out:
	diff_free(diff);
	return false;
}

bool bounds_finish(struct bounds *bounds)
{
	for (size_t i = 0; i < bounds->count; i++) {
		const struct bound *bound = &bounds->list[i];
		if (bound->matched && bound->judged)
			continue;
		struct bound_finding *finding = add_finding(bounds, i, NULL);
		if (!finding)
			return false;
		finding->result = bound->matched ? BOUND_NOT_JUDGED : bound->glob ? BOUND_NO_MATCH : BOUND_NO_EVENTS;
	}
	return true;
}

size_t bounds_broken(const struct bounds *bounds)
{
	size_t count = 0;
	for (size_t i = 0; i < bounds->count; i++) {
		bool holds = true;
		for (size_t j = 0; j < bounds->finding_count; j++)
			holds &= bounds->findings[j].bound != i || bounds->findings[j].result == BOUND_HOLDS;
		count += !holds;
	}
	return count;
}
