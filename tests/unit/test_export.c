/*
 * The table of export formats, folding, and that what every format writes is whole.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/export.h"
#include "tests/unit/suite.h"

START_TEST(formats_have_one_shape_and_a_name_of_their_own)
{
	for (const struct export_format *const *a = export_formats; *a; a++) {
		ck_assert(((*a)->write != NULL) != ((*a)->begin != NULL));
		ck_assert_int_eq((*a)->begin != NULL, (*a)->end != NULL);
		for (const struct export_format *const *b = a + 1; *b; b++)
			ck_assert_str_ne((*a)->name, (*b)->name);
	}
}
END_TEST

/* root > a > b, root > c */
static struct tree *small_tree(uint32_t *a, uint32_t *b, uint32_t *c)
{
	struct tree *tree = tree_new(0);
	ck_assert_ptr_nonnull(tree);
	*a = tree_child(tree, TREE_ROOT, 10);
	*b = tree_child(tree, *a, 11);
	*c = tree_child(tree, TREE_ROOT, 12);
	tree_charge(tree, *a, 1000, true);
	tree_charge(tree, *b, 5000, true);
	tree_charge(tree, *b, -4000, false);
	tree_charge(tree, *c, -300, true);
	tree->nodes[*b].calls = 3;
	tree->nodes[*c].time_ns = 7;
	return tree;
}

START_TEST(folding_keeps_the_sums)
{
	uint32_t a, b, c;
	struct tree *tree = small_tree(&a, &b, &c);
	ck_assert(export_fold(tree, 0));
	ck_assert_int_eq(tree->nodes[c].released, 300);
	ck_assert(export_fold(tree, 301));
	ck_assert_int_eq(tree->nodes[c].released, 0);
	ck_assert_int_eq(tree->nodes[TREE_ROOT].released, 300);
	ck_assert_uint_eq(tree->nodes[TREE_ROOT].time_ns, 7);
	ck_assert_int_eq(tree->nodes[b].grown, 5000);
	ck_assert_uint_eq(tree->nodes[b].calls, 3);
	ck_assert(export_fold(tree, 9001));
	ck_assert_int_eq(tree->nodes[b].grown, 0);
	ck_assert_uint_eq(tree->nodes[b].calls, 0);
	ck_assert_int_eq(tree->nodes[a].grown, 6000);
	ck_assert_int_eq(tree->nodes[a].unsure_released, 4000);
	ck_assert(export_fold(tree, UINT64_MAX));
	ck_assert_int_eq(tree->nodes[TREE_ROOT].grown, 6000);
	tree_free(tree);
}
END_TEST

/* Two nested calls with a hostile name, by hand. */
static void write_slices(const struct export_format *format, struct out *out, struct functions *functions,
			 struct resolve *resolve)
{
	uint32_t a, b, c;
	struct tree *tree = small_tree(&a, &b, &c);
	const struct export_setup setup = {
		.out = out, .functions = functions, .resolve = resolve, .tree = tree, .path = "a\"b\n.mtrace", .pid = 7,
	};
	const struct function hostile = {
		.sort = FUNCTION_PYTHON, .file = { "x\"y\x1b.py", 6 }, .name = { "f\n\"\\", 4 }, .first_line = 3,
	};
	const struct function plain = { .sort = FUNCTION_PYTHON, .file = { "p.py", 4 }, .name = { "g", 1 }, .first_line = 9 };
	struct slice slice = { .function = functions_of(functions, &hostile), .ns = 10, .rss_bytes = 4096 };
	struct slice inner = { .function = functions_of(functions, &plain), .ns = 20, .rss_bytes = 4096 };
	struct slices_totals totals = { .calls = 2, .first_ns = 10, .last_ns = 40 };
	tree->nodes[a].function = slice.function;
	tree->nodes[b].function = tree->nodes[c].function = inner.function;
	slice.node = a;
	inner.node = b;
	void *context = format->begin(&setup);
	ck_assert_ptr_nonnull(context);
	format->sink.open(context, &slice);
	format->sink.open(context, &inner);
	inner.ns = 30;
	inner.change_bytes = -4096;
	inner.moved = (struct slice_moved){ .grown = 4096, .released = 8192, .unsure_grown = 12288 };
	format->sink.close(context, &inner);
	if (format->sink.rss)
		format->sink.rss(context, 30, 0);
	slice.ns = 40;
	slice.change_bytes = -4096;
	slice.moved = inner.moved;
	format->sink.close(context, &slice);
	slice.moved.unsure_released = 100;
	if (format->sink.last)
		format->sink.last(context, &slice);
	ck_assert(format->end(context, &totals));
	tree_free(tree);
}

static const struct export_format *const of_text[] = { &export_chrome, &export_speedscope, &export_firefox };

START_TEST(text_is_safe_and_balanced)
{
	struct out *out = out_open_memory();
	struct functions *functions = functions_new(FUNCTIONS_BY_LINE);
	struct mt_names *names = mt_names_new(1 << 20);
	struct resolve *resolve = resolve_new(names, RESOLVE_FULL);
	size_t size;
	int depth = 0;
	bool quoted = false;
	write_slices(of_text[_i], out, functions, resolve);
	const char *bytes = out_taken(out, &size);
	ck_assert_int_eq(bytes[size - 1], '\n');
	for (size_t i = 0; i < size; i++) {
		const unsigned char c = (unsigned char)bytes[i];
		ck_assert(c == '\n' ? !quoted : c >= 0x20 && c < 0x7f);
		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted)
			depth += (c == '{' || c == '[') - (c == '}' || c == ']');
		ck_assert_int_ge(depth, 0);
	}
	ck_assert_int_eq(depth, 0);
	ck_assert(!quoted);
	out_abandon(out);
	resolve_free(resolve);
	mt_names_free(names);
	functions_free(functions);
}
END_TEST

/* What is charged to whom: 10 ns each of f, f > g and f again, and steps of g and of nobody. */
START_TEST(firefox_has_time_bytes_and_rss_in_columns)
{
	static const char *const parts[] = {
		"\"stack\":[2,3,2,null],\n\"time\":[0.000010,0.000020,0.000030,0.000040],\n"
		"\"weight\":[0.000010,0.000010,0.000010,0.000000],\n\"weightType\":\"tracing-ms\",\"length\":4}",
		"\"stack\":[3,3,0,0],\n\"time\":[0.000030,0.000030,0.000030,0.000040],\n"
		"\"weight\":[4096,-8192,12288,-100],\n\"weightType\":\"bytes\",\"length\":4}",
		"\"samples\":{\"time\":[0.000030],\n\"count\":[0],\n\"length\":1}",
		/* nobody's, the root, a, a > b, c */
		"\"prefixOffset\":[0,0,0,1,0]",
	};
	struct out *out = out_open_memory();
	struct functions *functions = functions_new(FUNCTIONS_BY_LINE);
	struct mt_names *names = mt_names_new(1 << 20);
	struct resolve *resolve = resolve_new(names, RESOLVE_FULL);
	size_t size;
	write_slices(&export_firefox, out, functions, resolve);
	const char *bytes = out_taken(out, &size);
	char *text = strndup(bytes, size);
	for (size_t i = 0; i < COUNT(parts); i++)
		ck_assert_msg(strstr(text, parts[i]), "no %s in %s", parts[i], text);
	free(text);
	out_abandon(out);
	resolve_free(resolve);
	mt_names_free(names);
	functions_free(functions);
}
END_TEST

START_TEST(perfetto_is_a_row_of_packets)
{
	struct out *out = out_open_memory();
	struct functions *functions = functions_new(FUNCTIONS_BY_LINE);
	struct mt_names *names = mt_names_new(1 << 20);
	struct resolve *resolve = resolve_new(names, RESOLVE_FULL);
	size_t size;
	size_t at = 0;
	unsigned packets = 0;
	write_slices(&export_perfetto, out, functions, resolve);
	const unsigned char *bytes = (const unsigned char *)out_taken(out, &size);
	while (at < size) {
		ck_assert_int_eq(bytes[at++], 1 << 3 | 2);      /* Trace.packet */
		size_t length = 0;
		for (unsigned shift = 0; at < size; shift += 7) {
			length |= (size_t)(bytes[at] & 0x7f) << shift;
			if (bytes[at++] < 0x80)
				break;
		}
		at += length;
		packets++;
	}
	ck_assert_uint_eq(at, size);
	ck_assert_uint_eq(packets, 2 + 1 + 2 + 2 + 1);  /* process, RSS; thread; begins; ends; counter */
	out_abandon(out);
	resolve_free(resolve);
	mt_names_free(names);
	functions_free(functions);
}
END_TEST

START_TEST(pprof_is_gzip)
{
	struct out *out = out_open_memory();
	uint32_t a, b, c;
	struct charges charges = { .functions = functions_new(FUNCTIONS_BY_LINE), .tree = small_tree(&a, &b, &c) };
	size_t size;
	charges.tree->nodes[a].function = charges.tree->nodes[b].function = charges.tree->nodes[c].function =
		FUNCTIONS_UNKNOWN;
	ck_assert(export_pprof.write(out, &charges));
	const char *bytes = out_taken(out, &size);
	ck_assert_uint_gt(size, 18);
	ck_assert_mem_eq(bytes, "\x1f\x8b", 2);
	out_abandon(out);
	charges_release(&charges);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("export");
	tcase_add_test(tcase, formats_have_one_shape_and_a_name_of_their_own);
	tcase_add_test(tcase, folding_keeps_the_sums);
	tcase_add_loop_test(tcase, text_is_safe_and_balanced, 0, COUNT(of_text));
	tcase_add_test(tcase, firefox_has_time_bytes_and_rss_in_columns);
	tcase_add_test(tcase, perfetto_is_a_row_of_packets);
	tcase_add_test(tcase, pprof_is_gzip);
	return suite_run("export", tcase);
}
