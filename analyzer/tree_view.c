/*
 * Printing call trees. Nothing here recurses: trees are as deep as the recursion of the program that was
 * recorded.
 */
#include "analyzer/tree_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/resolve.h"

#define INDENT_LEVELS 12U               /* deeper ones say their level in numbers */

const char *const tree_value_names[TREE_VALUES] = {
	"grown", "released", "net", "uncertain", "peak", "time", "calls",
};

/* A tree put in order. */
struct ordered {
	const struct tree_view *view;
	struct tree_sum *sums, *owns;
	uint32_t *order;                /* nodes but the root: by parent, then as they are printed */
	uint32_t *starts;               /* of the children of each node in it; count + 1 of them */
	uint64_t whole;                 /* what shares are of */
};

static int64_t value_of(const struct tree_sum *sum, enum tree_value value)
{
	switch (value) {
	case TREE_GROWN:
		return sum->grown;
	case TREE_RELEASED:
		return sum->released;
	case TREE_NET:
		return tree_sum_net(sum);
	case TREE_UNCERTAIN:
		return sum->unsure_grown + sum->unsure_released;
	case TREE_PEAK:
		return sum->peak;
	case TREE_TIME:
		return (int64_t)sum->time_ns;
	case TREE_CALLS:
	case TREE_VALUES:
		break;
	}
	return (int64_t)sum->calls;
}

static uint64_t magnitude(int64_t value)
{
	return value < 0 ? -(uint64_t)value : (uint64_t)value;
}

static const struct ordered *comparing;         /* qsort() has no argument for it */

static int compare_nodes(const void *a, const void *b)
{
	const struct tree_view *view = comparing->view;
	const uint32_t x = *(const uint32_t *)a;
	const uint32_t y = *(const uint32_t *)b;
	const struct tree_node *node_x = &view->tree->nodes[x];
	const struct tree_node *node_y = &view->tree->nodes[y];
	if (node_x->parent != node_y->parent)
		return node_x->parent < node_y->parent ? -1 : 1;
	const int64_t value_x = value_of(&comparing->sums[x], view->value);
	const int64_t value_y = value_of(&comparing->sums[y], view->value);
	if (value_x != value_y)
		return value_x < value_y ? 1 : -1;
	int order = strcmp(functions_name(view->functions, node_x->function),
			   functions_name(view->functions, node_y->function));
	if (!order)
		order = strcmp(functions_file(view->functions, node_x->function),
			       functions_file(view->functions, node_y->function));
	return order ? order : (node_x->function > node_y->function) - (node_x->function < node_y->function);
}

static void release(struct ordered *ordered)
{
	free(ordered->sums);
	free(ordered->owns);
	free(ordered->order);
	free(ordered->starts);
}

static bool put_in_order(struct ordered *ordered, const struct tree_view *view)
{
	const uint32_t count = view->tree->count;
	*ordered = (struct ordered){
		.view = view, .sums = tree_sums(view->tree, false), .owns = tree_sums(view->tree, true),
		.order = malloc(count * sizeof(uint32_t)),
		.starts = calloc((size_t)count + 1, sizeof(uint32_t)),
	};
	if (!ordered->sums || !ordered->owns || !ordered->order || !ordered->starts)
		return false;
	for (uint32_t i = 1; i < count; i++) {
		ordered->order[i - 1] = i;
		ordered->starts[view->tree->nodes[i].parent + 1]++;
	}
	for (uint32_t i = 0; i < count; i++)
		ordered->starts[i + 1] += ordered->starts[i];
	/* Calls are not part of sums, but what is below counts when they decide what is shown. */
	for (uint32_t i = count; view->value == TREE_CALLS && --i;)
		if (!view->inverted || view->tree->nodes[i].depth == 1)
			ordered->sums[view->tree->nodes[i].parent].calls += ordered->sums[i].calls;
	comparing = ordered;
	qsort(ordered->order, count - 1, sizeof(uint32_t), compare_nodes);
	/* Bytes that went up and down again make a net of nothing: that is compared with what grew. */
	const struct tree_sum *root = &ordered->sums[TREE_ROOT];
	ordered->whole = magnitude(value_of(root, view->value));
	if (view->value == TREE_NET)
		ordered->whole = (uint64_t)root->grown;
	return true;
}

static bool is_large(const struct ordered *ordered, uint64_t value)
{
	return (unsigned __int128)value * 1000 >=
	       (unsigned __int128)ordered->whole * ordered->view->share_permille;
}

/* Is the node printed, not folded away? */
static bool is_shown(const struct ordered *ordered, uint32_t node)
{
	const struct tree_view *view = ordered->view;
	const uint64_t value = magnitude(value_of(&ordered->sums[node], view->value));
	if (view->depth_max && view->tree->nodes[node].depth > view->depth_max)
		return false;
	return !view->share_permille || (value && is_large(ordered, value));
}

/*
 * Go through the nodes that are shown, top down, children in order. `below` is told, behind the last child
 * shown, that `count` children of `parent` are folded, and their sum.
 */
struct visitor {
	void *context;
	void (*node)(void *context, const struct ordered *ordered, uint32_t node);
	void (*folded)(void *context, const struct ordered *ordered, uint32_t parent, uint32_t count,
		       int64_t value);
};

static bool visit(const struct ordered *ordered, const struct visitor *visitor)
{
	const struct tree *tree = ordered->view->tree;
	uint32_t *next = malloc(tree->count * sizeof(*next));           /* child to go to, by node */
	struct fold { uint32_t count; int64_t value; } *folds = calloc(tree->count, sizeof(*folds));
	if (!next || !folds) {
		free(next);
		free(folds);
		return false;
	}
	memcpy(next, ordered->starts, tree->count * sizeof(*next));
	for (uint32_t at = TREE_ROOT;;) {
		if (next[at] < ordered->starts[at + 1]) {
			const uint32_t child = ordered->order[next[at]++];
			if (is_shown(ordered, child)) {
				visitor->node(visitor->context, ordered, child);
				at = child;
				continue;
			}
			const int64_t value = value_of(&ordered->sums[child], ordered->view->value);
			folds[at].count += value != 0;
			folds[at].value += value;
			continue;
		}
		/* Not worth a line if all of them together would not have had one. */
		if (folds[at].count && visitor->folded &&
		    (at == TREE_ROOT || is_large(ordered, magnitude(folds[at].value))))
			visitor->folded(visitor->context, ordered, at, folds[at].count, folds[at].value);
		if (at == TREE_ROOT)
			break;
		at = tree->nodes[at].parent;
	}
	free(next);
	free(folds);
	return true;
}

/*
 * Text
 */

char *tree_view_label(struct functions *functions, uint32_t function)
{
	const char *name = function == FUNCTIONS_ALL ? FUNCTIONS_OUTSIDE : functions_name(functions, function);
	const char *place = functions_place(functions, function);
	const size_t size = strlen(name) + strlen(place) + 3;
	char *text = malloc(size);
	if (text)
		snprintf(text, size, "%s%s%s", name, *place ? "  " : "", place);
	return text;
}

char *tree_view_path(const struct tree *tree, struct functions *functions, uint32_t node, size_t columns)
{
	static const char between[] = " > ", cut[] = "... > ";
	size_t size = sizeof(cut);
	size_t width = 0;
	uint32_t first = node;
	/* From the last name on forwards, as long as there is room. */
	for (uint32_t i = node; i != TREE_ROOT; i = tree->nodes[i].parent) {
		const char *name = functions_name(functions, tree->nodes[i].function);
		width += resolve_width(name) + (i == node ? 0 : sizeof(between) - 1);
		const size_t front = tree->nodes[i].parent == TREE_ROOT ? 0 : sizeof(cut) - 1;
		if (columns && i != node && width + front > columns)
			break;
		size += strlen(name) + sizeof(between);
		first = i;
	}
	char *text = malloc(size);
	if (!text)
		return NULL;
	char *end = text + size - 1;
	*end = '\0';
	for (uint32_t i = node; i != TREE_ROOT; i = tree->nodes[i].parent) {
		const char *name = functions_name(functions, tree->nodes[i].function);
		end -= strlen(name);
		memcpy(end, name, strlen(name));
		if (i == first)
			break;
		end -= sizeof(between) - 1;
		memcpy(end, between, sizeof(between) - 1);
	}
	if (first != TREE_ROOT && tree->nodes[first].parent != TREE_ROOT) {
		end -= sizeof(cut) - 1;
		memcpy(end, cut, sizeof(cut) - 1);
	}
	memmove(text, end, strlen(end) + 1);
	return text;
}

void tree_view_cut(char *text, size_t columns)
{
	size_t length = strlen(text);
	if (columns < 8 || resolve_width(text) <= columns)
		return;
	while (length && resolve_width(text) > columns - 3) {
		do
			length--;
		while (length && ((unsigned char)text[length] & 0xC0) == 0x80);
		text[length] = '\0';
	}
	memcpy(text + length, "...", 4);
}

struct text_view {
	struct out *out;
	bool wide;
};

static const char *short_value(int64_t number, enum tree_value value, char *room)
{
	if (value == TREE_TIME)
		return table_short_time((uint64_t)number, room);
	if (value == TREE_CALLS)
		snprintf(room, TABLE_SHORT, "%" PRId64, number);
	else
		table_short_bytes(number, room);
	return room;
}

static void put_share(struct out *out, const struct ordered *ordered, int64_t value)
{
	if (!ordered->whole) {
		out_string(out, "       -");
		return;
	}
	const uint64_t tenths = (uint64_t)((unsigned __int128)magnitude(value) * 1000 / ordered->whole);
	char room[32];
	snprintf(room, sizeof(room), "%s%" PRIu64 ".%u%%", value < 0 ? "-" : "", tenths / 10,
		 (unsigned)(tenths % 10));
	out_printf(out, "%8s", room);
}

/* Columns in front of the path. `all` NULL: a folded line, which has only its value. */
static void put_numbers(const struct text_view *text, const struct ordered *ordered, int64_t value,
			const struct tree_sum *all, const struct tree_sum *own)
{
	const struct tree_view *view = ordered->view;
	char room[TABLE_SHORT];
	out_printf(text->out, "%9s", short_value(value, view->value, room));
	put_share(text->out, ordered, value);
	if (!view->inverted)
		out_printf(text->out, "%9s", own ? short_value(value_of(own, view->value), view->value, room)
						 : "");
	static const enum tree_value more[] = { TREE_GROWN, TREE_RELEASED, TREE_NET, TREE_TIME };
	for (size_t i = 0; text->wide && i < sizeof(more) / sizeof(more[0]); i++)
		if (more[i] != view->value)
			out_printf(text->out, "%9s", all ? short_value(value_of(all, more[i]), more[i], room) : "");
	if (view->value != TREE_CALLS)
		out_printf(text->out, "%10s", all ? short_value((int64_t)own->calls, TREE_CALLS, room) : "");
	out_string(text->out, "  ");
}

static size_t columns_used(const struct text_view *text, const struct tree_view *view)
{
	const bool among = view->value <= TREE_NET || view->value == TREE_TIME;
	return 9 + 8 + (view->inverted ? 0 : 9) + (text->wide ? (among ? 27 : 36) : 0) +
	       (view->value != TREE_CALLS ? 10 : 0) + 2;
}

static void put_path(const struct text_view *text, const struct tree_view *view, uint32_t depth, char *label)
{
	const uint32_t levels = depth - 1 < INDENT_LEVELS ? depth - 1 : INDENT_LEVELS;
	size_t used = columns_used(text, view) + (size_t)levels * 2;
	out_printf(text->out, "%*s", (int)levels * 2, "");
	if (depth - 1 > INDENT_LEVELS) {
		char level[24];
		used += (size_t)snprintf(level, sizeof(level), "[%" PRIu32 "] ", depth);
		out_string(text->out, level);
	}
	if (view->cut && view->width > used)
		tree_view_cut(label, view->width - used);
	out_printf(text->out, "%s\n", label);
}

static void text_node(void *context, const struct ordered *ordered, uint32_t number)
{
	const struct text_view *text = context;
	const struct tree_view *view = ordered->view;
	const struct tree_node *node = &view->tree->nodes[number];
	char *label = tree_view_label(view->functions, node->function);
	put_numbers(text, ordered, value_of(&ordered->sums[number], view->value), &ordered->sums[number],
		    &ordered->owns[number]);
	if (label)
		put_path(text, view, node->depth, label);
	free(label);
}

static void text_folded(void *context, const struct ordered *ordered, uint32_t parent, uint32_t count,
			int64_t value)
{
	const struct text_view *text = context;
	char label[64];
	snprintf(label, sizeof(label), "(%" PRIu32 " more)", count);
	put_numbers(text, ordered, value, NULL, NULL);
	put_path(text, ordered->view, ordered->view->tree->nodes[parent].depth + 1, label);
}

static bool print_text(const struct ordered *ordered, struct out *out)
{
	const struct tree_view *view = ordered->view;
	struct text_view text = { out, view->width >= 120 };
	const struct visitor visitor = { &text, text_node, text_folded };
	out_printf(out, "%9s%8s", tree_value_names[view->value], "share");
	if (!view->inverted)
		out_printf(out, "%9s", "own");
	static const enum tree_value more[] = { TREE_GROWN, TREE_RELEASED, TREE_NET, TREE_TIME };
	for (size_t i = 0; text.wide && i < sizeof(more) / sizeof(more[0]); i++)
		if (more[i] != view->value)
			out_printf(out, "%9s", tree_value_names[more[i]]);
	if (view->value != TREE_CALLS)
		out_printf(out, "%10s", "calls");
	out_printf(out, "  %s\n", view->inverted ? "function, and below it its callers" : "path");
	if (!visit(ordered, &visitor))
		return false;
	const struct tree_sum *own = &ordered->owns[TREE_ROOT];
	const int64_t outside = value_of(own, view->value);
	if (outside && !view->inverted) {
		char label[] = FUNCTIONS_OUTSIDE;
		put_numbers(&text, ordered, outside, NULL, own);
		put_path(&text, view, 1, label);
	}
	return true;
}

/*
 * Rows
 */

enum {
	ROW_ID, ROW_PARENT, ROW_DEPTH, ROW_FUNCTION, ROW_FILE, ROW_LINE, ROW_CALLS, ROW_GROWN, ROW_RELEASED,
	ROW_NET, ROW_PEAK, ROW_UNSURE_GROWN, ROW_UNSURE_RELEASED, ROW_TIME, ROW_OWN_GROWN, ROW_OWN_RELEASED,
	ROW_OWN_NET, ROW_OWN_PEAK, ROW_SELF, ROW_COLUMNS,
};

static const struct table_column row_columns[ROW_COLUMNS] = {
	{ "id", NULL, TABLE_COUNT }, { "parent", NULL, TABLE_COUNT }, { "depth", NULL, TABLE_COUNT },
	{ "function", NULL, TABLE_NAME }, { "file", NULL, TABLE_NAME }, { "line", NULL, TABLE_COUNT },
	{ "calls", NULL, TABLE_COUNT }, { "grown_bytes", NULL, TABLE_BYTES },
	{ "released_bytes", NULL, TABLE_BYTES }, { "net_bytes", NULL, TABLE_BYTES },
	{ "peak_bytes", NULL, TABLE_BYTES }, { "uncertain_grown_bytes", NULL, TABLE_BYTES },
	{ "uncertain_released_bytes", NULL, TABLE_BYTES }, { "time_ns", NULL, TABLE_TIME },
	{ "own_grown_bytes", NULL, TABLE_BYTES }, { "own_released_bytes", NULL, TABLE_BYTES },
	{ "own_net_bytes", NULL, TABLE_BYTES }, { "own_peak_bytes", NULL, TABLE_BYTES },
	{ "self_ns", NULL, TABLE_TIME },
};

static void row_node(void *context, const struct ordered *ordered, uint32_t number)
{
	struct table *table = context;
	const struct tree_node *node = &ordered->view->tree->nodes[number];
	const struct function *function = functions_get(ordered->view->functions, node->function);
	const struct tree_sum *sum = &ordered->sums[number];
	const struct tree_sum *own = &ordered->owns[number];
	struct function_text name = function->name;
	if (node->function < FUNCTIONS_FIRST) {
		name.bytes = node->function == FUNCTIONS_ALL && number != TREE_ROOT
				     ? FUNCTIONS_OUTSIDE
				     : functions_name(ordered->view->functions, node->function);
		name.size = (uint32_t)strlen(name.bytes);
	}
	const struct table_cell cells[ROW_COLUMNS] = {
		[ROW_ID] = { .number = number },
		[ROW_PARENT] = { .number = number == TREE_ROOT ? -1 : (int64_t)node->parent },
		[ROW_DEPTH] = { .number = node->depth },
		[ROW_FUNCTION] = { .bytes = name.bytes, .size = name.size },
		[ROW_FILE] = { .bytes = function->file.bytes, .size = function->file.size },
		[ROW_LINE] = { .number = function->first_line },
		[ROW_CALLS] = { .number = (int64_t)own->calls },
		[ROW_GROWN] = { .number = sum->grown },
		[ROW_RELEASED] = { .number = sum->released },
		[ROW_NET] = { .number = tree_sum_net(sum) },
		[ROW_PEAK] = { .number = sum->peak },
		[ROW_UNSURE_GROWN] = { .number = sum->unsure_grown },
		[ROW_UNSURE_RELEASED] = { .number = sum->unsure_released },
		[ROW_TIME] = { .number = (int64_t)sum->time_ns },
		[ROW_OWN_GROWN] = { .number = own->grown },
		[ROW_OWN_RELEASED] = { .number = own->released },
		[ROW_OWN_NET] = { .number = tree_sum_net(own) },
		[ROW_OWN_PEAK] = { .number = own->peak },
		[ROW_SELF] = { .number = (int64_t)own->time_ns },
	};
	table_row(table, cells);
}

static bool print_rows(const struct ordered *ordered, struct out *out, enum table_format format,
		       struct json *json)
{
	struct table table;
	const struct visitor visitor = { &table, row_node, NULL };
	table_begin(&table, out, format, row_columns, ROW_COLUMNS, json, "rows");
	if (!ordered->view->inverted)
		row_node(&table, ordered, TREE_ROOT);
	const bool good = visit(ordered, &visitor);
	table_end(&table, json);
	return good;
}

/*
 * Collapsed: "main;handle;work 4096", the own value of each path that has one above 0. What separates is
 * replaced in names.
 */

static void put_collapsed_name(struct out *out, struct functions *functions, uint32_t number)
{
	const char *parts[] = { functions_name(functions, number), functions_place(functions, number) };
	for (int i = 0; i < 2; i++) {
		if (!*parts[i])
			continue;
		if (i)
			out_string(out, " (");
		for (const char *at = parts[i]; *at; at++)
			out_write(out, *at == ';' ? ":" : at, 1);
		if (i)
			out_string(out, ")");
	}
}

static bool print_collapsed(const struct ordered *ordered, struct out *out)
{
	const struct tree_view *view = ordered->view;
	const struct tree *tree = view->tree;
	uint32_t deepest = 0;
	for (uint32_t i = 0; i < tree->count; i++)
		if (tree->nodes[i].depth > deepest)
			deepest = tree->nodes[i].depth;
	uint32_t *path = malloc(((size_t)deepest + 1) * sizeof(*path));
	if (!path)
		return false;
	for (uint32_t i = 0; i < tree->count && !out_failed(out); i++) {
		const int64_t value = value_of(&ordered->owns[i], view->value);
		if (value <= 0)
			continue;
		const uint32_t depth = tree_path(tree, i, path);
		for (uint32_t j = 0; j < depth; j++) {
			if (j)
				out_string(out, ";");
			put_collapsed_name(out, view->functions, tree->nodes[path[j]].function);
		}
		out_printf(out, "%s %" PRId64 "\n", depth ? "" : FUNCTIONS_OUTSIDE, value);
	}
	free(path);
	return true;
}

bool tree_view_print(const struct tree_view *view, struct out *out, enum table_format format,
		     struct json *json)
{
	struct ordered ordered;
	bool good = put_in_order(&ordered, view);
	if (good && format == TABLE_TEXT)
		good = print_text(&ordered, out);
	else if (good && format == TABLE_COLLAPSED)
		good = print_collapsed(&ordered, out);
	else if (good)
		good = print_rows(&ordered, out, format, json);
	release(&ordered);
	return good;
}
