/*
 * Who is charged: the rules of docs/attribution.md, each in a small trace.
 *
 * Real traces, against a model in Python: tests/python/test_top_tree.py.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/message.h"
#include "analyzer/stacks.h"
#include "tests/unit/sample.h"
#include "tests/unit/scratch_dir.h"
#include "tests/unit/suite.h"

#define GAP_NS 592

/*
 * Traces from a text, one word a record:
 *
 *     c2      CALL of code 2            g2  the same, resumed      s2  SYNTHETIC      t2  thrown into
 *     r2      RETURN                    y2  suspended              x2  by an exception
 *     C2.1    C_CALL of function 1 by code 2      R2.1  C_RETURN      X2.1  C_EXCEPTION
 *     T2.3    C_CALL, EXTRA             U2.3  C_RETURN, EXTRA
 *     l5      LOST 5                    p   suspended     q   resumed     e   thread end
 *
 * In front a ' makes it a record of thread 1, a " of the unknown thread. Behind it =N is the RSS from then on, +N the
 * clock since the record before (100 ticks of 10 ns if not given), ~ says that RSS was not read. "|" ends a block.
 */
static struct mt_event event_of(char what, uint32_t number, uint32_t callee)
{
	static const struct {
		char what;
		uint8_t kind, flags, meta;
	} rows[] = {
		{ 'c', MT_KIND_CALL, 0, 0 }, { 'g', MT_KIND_CALL, MT_FLAG_SUSPEND, 0 },
		{ 's', MT_KIND_CALL, MT_FLAG_SYNTHETIC, 0 }, { 't', MT_KIND_CALL, MT_FLAG_EXCEPTION, 0 },
		{ 'r', MT_KIND_RETURN, 0, 0 }, { 'y', MT_KIND_RETURN, MT_FLAG_SUSPEND, 0 },
		{ 'x', MT_KIND_RETURN, MT_FLAG_EXCEPTION, 0 }, { 'C', MT_KIND_C_CALL, 0, 0 },
		{ 'R', MT_KIND_C_RETURN, 0, 0 }, { 'X', MT_KIND_C_EXCEPTION, 0, 0 },
		{ 'T', MT_KIND_C_CALL, MT_FLAG_EXTRA, 0 }, { 'U', MT_KIND_C_RETURN, MT_FLAG_EXTRA, 0 },
		{ 'l', MT_KIND_META, 0, MT_META_LOST }, { 'p', MT_KIND_META, 0, MT_META_SUSPENDED },
		{ 'q', MT_KIND_META, 0, MT_META_RESUMED }, { 'e', MT_KIND_META, 0, MT_META_THREAD_END },
	};
	for (int i = 0; i < COUNT(rows); i++) {
		if (rows[i].what != what)
			continue;
		const bool meta = rows[i].kind == MT_KIND_META;
		return (struct mt_event){
			.kind = rows[i].kind, .flags = rows[i].flags, .code = meta ? rows[i].meta : number,
			.callee = meta && what == 'l' ? MT_LOST_RING_FULL : callee,
			.lasti = meta ? number : 8, .thread = what == 'l' ? MT_THREAD_UNKNOWN : 0,
		};
	}
	ck_abort_msg("no record '%c'", what);
	return (struct mt_event){ 0 };
}

static uint32_t page_size;              /* of the next trace; 0: the usual one */

static const char *make_trace(const char *text, enum mt_hook hook)
{
	struct sample sample;
	uint8_t items[SAMPLE_DEFS_MAX], tlvs[64], parameters[24] = { 0 };
	struct mt_record records[256];
	size_t count = 0;
	uint64_t clock = 0;
	uint32_t rss = 0;
	struct mt_header header = sample_header();
	struct mt_out out = mt_out_over(tlvs, sizeof(tlvs));
	mt_store_u64(parameters, GAP_NS);
	mt_tlv_put(&out, MT_TLV_RSS_PARAMETERS, parameters, sizeof(parameters));
	header.tlvs = tlvs;
	header.tlvs_size = mt_out_size(&out);
	header.hook = (uint8_t)hook;
	if (page_size)
		header.page_size = page_size;
	sample_init(&sample, NULL);
	ck_assert_int_eq(mt_writer_header(&sample.writer, &header), MT_OK);
	ck_assert_int_eq(mt_writer_defs(&sample.writer, items, sample_items(items, sizeof(items))), MT_OK);
	for (const char *at = text;;) {
		if (*at == '|' || !*at) {
			ck_assert_int_eq(mt_writer_events(&sample.writer, records, count, NULL, count), MT_OK);
			count = 0;
		}
		if (!*at)
			break;
		if (*at == ' ' || *at == '|') {
			at++;
			continue;
		}
		const char owner = *at == '\'' || *at == '"' ? *at++ : 0;
		const char what = *at++;
		char *end;
		const uint32_t number = (uint32_t)strtoul(at, &end, 10);
		const uint32_t callee = *end == '.' ? (uint32_t)strtoul(end + 1, &end, 10) : 0;
		struct mt_event event = event_of(what, number, callee);
		uint64_t step = 100;
		event.flags |= MT_FLAG_RSS_READ;
		for (at = end; *at && *at != ' ' && *at != '|';) {
			if (*at == '=') {
				rss = (uint32_t)strtoul(at + 1, &end, 10);
			} else if (*at == '+') {
				step = strtoul(at + 1, &end, 10);
			} else {
				ck_assert_int_eq(*at, '~');
				event.flags &= (uint8_t)~MT_FLAG_RSS_READ;
				end = (char *)at + 1;
			}
			at = end;
		}
		if (owner)
			event.thread = owner == '"' ? MT_THREAD_UNKNOWN : 1;
		event.clock_ticks = clock += step;
		event.rss_pages = rss;
		records[count++] = mt_record_pack(&event);
	}
	const struct mt_end finish = sample_end(&sample.writer);
	ck_assert_int_eq(mt_writer_end(&sample.writer, &finish), MT_OK);
	const char *path = scratch_path("stacks.mtrace");
	FILE *file = fopen(path, "wb");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(sample.memory.data, 1, sample.memory.sink.size, file), sample.memory.sink.size);
	fclose(file);
	sample_release(&sample);
	return path;
}

struct text {
	char text[8192];
	size_t size;
};

__attribute__((format(printf, 2, 3)))
static void note(struct text *text, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	text->size += (size_t)vsnprintf(text->text + text->size, sizeof(text->text) - text->size, format, arguments);
	va_end(arguments);
}

static struct functions *functions;
static struct tree *tree;

static void note_path(struct text *text, uint32_t node)
{
	uint32_t path[64];
	const uint32_t depth = tree_path(tree, node, path);
	if (!depth)
		note(text, "/");
	for (uint32_t i = 0; i < depth; i++)
		note(text, "%s%s", i ? ">" : "", functions_name(functions, tree->nodes[path[i]].function));
}

/* "main>load 2 +3-1": calls, grown and released in pages; then what else there is: "r1" resumed, "?+1-2". */
static void describe(struct text *text)
{
	*text = (struct text){ .size = 0 };
	for (uint32_t i = 0; i < tree->count; i++) {
		const struct tree_node *node = &tree->nodes[i];
		if (!node->calls && !node->resumed && !node->grown && !node->released && !node->unsure_grown &&
		    !node->unsure_released)
			continue;
		note(text, "%s", text->size ? ", " : "");
		note_path(text, i);
		note(text, " %lu", (unsigned long)node->calls);
		if (node->resumed)
			note(text, "r%lu", (unsigned long)node->resumed);
		if (node->grown || node->released)
			note(text, " +%ld-%ld", (long)node->grown / 4096, (long)node->released / 4096);
		if (node->unsure_grown || node->unsure_released)
			note(text, " ?+%ld-%ld", (long)node->unsure_grown / 4096,
			     (long)node->unsure_released / 4096);
	}
}

static struct stacks_totals run(const char *path, const struct filter_options *filter,
				const struct stacks_sink *sink, struct stacks **stacks_out)
{
	const struct stacks_options options = { .filter = filter, .clock = TIMELINE_START };
	const struct stream_options quiet = { .quiet = true };
	struct stream *stream = stream_open(path, &quiet);
	ck_assert_ptr_nonnull(stream);
	functions = functions_new(FUNCTIONS_BY_LINE);
	tree = tree_new(0);
	struct stacks *stacks = stacks_new(tree, functions, &options, sink);
	ck_assert_ptr_nonnull(stacks);
	ck_assert(stacks_run(stacks, stream));
	const struct stacks_totals totals = *stacks_totals(stacks);
	ck_assert_int_eq(totals.grown - totals.released + totals.unsure_grown - totals.unsure_released,
			 totals.rss_last - totals.rss_first);
	int64_t sum = 0, peak = 0;
	for (uint32_t i = 0; i < tree->count; i++) {
		sum += tree->nodes[i].grown - tree->nodes[i].released + tree->nodes[i].unsure_grown -
		       tree->nodes[i].unsure_released;
		peak += tree->nodes[i].peak;
	}
	ck_assert_int_eq(sum, totals.rss_last - totals.rss_first);
	if (stacks_peak(stacks)->any)
		ck_assert_int_eq(totals.rss_first + peak + stacks_peak(stacks)->unsure,
				 (int64_t)stacks_peak(stacks)->rss_bytes);
	if (stacks_out)
		*stacks_out = stacks;
	else
		stacks_free(stacks);
	stream_close(stream);
	return totals;
}

static void done(struct stacks *stacks)
{
	stacks_free(stacks);
	tree_free(tree);
	functions_free(functions);
}

static const struct {
	const char *what, *trace, *charged;
	unsigned rebuilt;
} cases[] = {
	{ "a step belongs to the frame on top before its record",
	  "c1=10 c2=12 r2=15 r1=14", "<module> 1 +2-1, <module>>load 1 +3-0", 0 },
	{ "a C function is a leaf and pays for itself",
	  "c1=10 C1.2=11 R1.2=15 r1=16", "<module> 1 +2-0, <module>>len 1 +4-0", 0 },
	{ "what C calls is below it",
	  "c1=10 C1.2 c2=11 r2=13 R1.2=14 r1", "<module> 1, <module>>len 1 +2-0, <module>>len>load 1 +2-0", 0 },
	{ "types are C functions, too",
	  "c1=10 T1.3=10 U1.3=12 r1", "<module> 1, <module>>bytearray 1 +2-0", 0 },
	{ "paths are apart, functions are not",
	  "c1=1 c2=1 c3=1 r3=2 r2 c3 r3=4 r1",
	  "<module> 1, <module>>load 1, <module>>load>parse 1 +1-0, <module>>parse 1 +2-0", 0 },
	{ "a generator is on whoever resumes it",
	  "c1=1 c3 y3=2 c2 g3=2 y3=5 r2 r1",
	  "<module> 1, <module>>parse 1 +1-0, <module>>load 1, <module>>load>parse 0r1 +3-0", 0 },
	{ "throwing into a generator is a call",
	  "c1=1 c3 y3 t3 x3=4 r1", "<module> 1, <module>>parse 2 +3-0", 0 },
	{ "an exception leaves like a return",
	  "c1=1 c2 c3=2 x3=3 x2=5 C1.1 X1.1=9 r1",
	  "<module> 1, <module>>load 1 +3-0, <module>>load>parse 1 +1-0, <module>>list.append 1 +4-0", 0 },
	{ "frames that were running before are no calls",
	  "s1=5 s2 C2.2 R2.2=6 r2=8 r1", "<module>>load 0 +2-0, <module>>load>len 1 +1-0", 0 },
	{ "a thread deep in calls without synthetic ones",
	  "C3.2=5 R3.2=6 r3=8 r2=10 r1=11",
	  "parse 0 +2-0, parse>len 1 +1-0, load 0 +2-0, <module> 0 +1-0", 0 },
	{ "the first synthetic call of a row begins anew",
	  "c1=1 c2 s1 s3 r3=3 r1", "<module> 1, <module>>load 1, <module>>parse 0 +2-0", 0 },
	{ "another thread in between: uncertain",
	  "c1=10 'c2=13 'r2=15 r1=14", "/ 0 ?+3-0, <module> 1 ?+0-1, load 1 +2-0", 0 },
	{ "another thread in between, but nothing changed",
	  "c1=10 'c2 'r2=15 r1", "<module> 1, load 1 +5-0", 0 },
	{ "the unknown thread is never certain",
	  "\"c1=10 \"c2=12 \"r2=13 \"r1", "<module> 1 ?+2-0, <module>>load 1 ?+1-0", 0 },
	{ "unread records before a step do not make it uncertain",
	  "c1=10 c2+3~ c3+3~ r3=12 r2 r1", "<module> 1, <module>>load 1, <module>>load>parse 1 +2-0", 0 },
	{ "found by a late read: uncertain", "c1=10 c2+3~ r2+3=12 r1", "<module> 1, <module>>load 1 ?+2-0", 0 },
	{ "59 ticks may be the gap of 592 ns", "c1=10 c2+3~ r2+59=12 r1", "<module> 1, <module>>load 1 +2-0", 0 },
	{ "58 ticks cannot be", "c1=10 c2+3~ r2+58=12 r1", "<module> 1, <module>>load 1 ?+2-0", 0 },
	{ "soon after a record that was read it is never late",
	  "c1=10 c2+3 r2+3=12 r1", "<module> 1, <module>>load 1 +2-0", 0 },
	{ "a step that was not read", "c1=10 c2=11~ r2 r1", "<module> 1 ?+1-0, <module>>load 1", 0 },
	{ "a loss: uncertain once, the stack goes on",
	  "c1=10 c2 l4 r2=14 r1=15", "<module> 1 +1-0, <module>>load 1 ?+4-0", 0 },
	{ "a loss hid a call", "c1=10 l4 r2=14 r1=15", "<module> 1 +1-0, <module>>load 0 ?+4-0", 1 },
	{ "a loss hid a return", "c1=10 c2 c3 l1 r2=14 r1=15",
	  "<module> 1 +1-0, <module>>load 1 ?+4-0, <module>>load>parse 1", 1 },
	{ "suspension: nobody's, and stacks are told anew",
	  "c1=10 c2 p q=20 s1 s3 r3=21 r1", "<module> 1, <module>>load 1 ?+10-0, <module>>parse 0 +1-0", 0 },
	{ "a C call that never returns", "c1=1 C1.2=2 r1=4", "<module> 1 +3-0, <module>>len 1", 0 },
	{ "a C call that never returns, then another",
	  "c1=1 C1.2=2 C1.1=4 R1.1=5 r1", "<module> 1 +3-0, <module>>len 1, <module>>list.append 1 +1-0", 0 },
	{ "the return of a C call that was not told", "c1=1 R1.2=3 r1=4", "<module> 1 +3-0, <module>>len 1", 0 },
	{ "a greenlet switches to another and back",
	  "c1=1 c2 C2.2 c3 C3.2 R2.2=5 C2.2 R3.2=7 r3=8 R2.2=10 r2 r1",
	  "<module> 1, <module>>load 1, <module>>load>len 2 +2-0 ?+4-0, <module>>load>len>parse 1 +1-0, "
	  "<module>>load>len>parse>len 1 ?+2-0", 2 },
	{ "a greenlet from before the recording",
	  "c1=1 c2 C2.2 R3.2=4 C3.2=6 R2.2=7 r2=8 r1",
	  "<module> 1, <module>>load 1 +1-0, <module>>load>len 1 ?+1-0, parse 0 +2-0 ?+3-0, parse>len 2", 2 },
	{ "blocks do not matter", "c1=10 | c2=12 | r2=15 | r1=14", "<module> 1 +2-1, <module>>load 1 +3-0", 0 },
	{ "unknown code", "c1=1 c16777215 r16777215=3 r1", "<module> 1, <module>>(unknown) 1 +2-0", 0 },
	{ "the end of a thread empties its stack",
	  "'c1=1 'c2 'e=2 'c3 'r3=5", "<module> 1, <module>>load 1 +1-0, parse 1 +3-0", 0 },
	{ "outside of calls", "c1=1 r1=2 c1=5 r1=6", "/ 0 +3-0, <module> 2 +2-0", 0 },
};

START_TEST(steps_are_charged_as_attribution_md_says)
{
	struct text text;
	const struct stacks_totals totals = run(make_trace(cases[_i].trace, MT_HOOK_MONITORING), NULL, NULL, NULL);
	describe(&text);
	ck_assert_msg(strcmp(text.text, cases[_i].charged) == 0, "%s\n  %s\n  gives   %s\n  not     %s",
		      cases[_i].what, cases[_i].trace, text.text, cases[_i].charged);
	ck_assert_uint_eq(totals.rebuilt, cases[_i].rebuilt);
	done(NULL);
}
END_TEST

START_TEST(time_is_that_of_the_thread)
{
	/* Thread 0 is in <module> for 100 + 300 + 100 ticks, in load for 200; thread 1 in parse from 2 to 4. */
	struct text text = { .size = 0 };
	run(make_trace("c1 'c3 c2+200 r2+200 'r3 r1", MT_HOOK_MONITORING), NULL, NULL, NULL);
	for (uint32_t i = 1; i < tree->count; i++) {
		note_path(&text, i);
		note(&text, " %lu ", (unsigned long)tree->nodes[i].time_ns / 10);
	}
	ck_assert_str_eq(text.text, "<module> 500 parse 500 <module>>load 200 ");
	done(NULL);
}
END_TEST

START_TEST(a_window_takes_the_stretches_that_end_in_it)
{
	struct text text;
	struct filter_options filter = { .from = "#2", .to = "#3" };
	const char *path = make_trace("c1=1 c2=2 c3=4 r3=8 r2=16 r1=32", MT_HOOK_MONITORING);
	const struct stacks_totals totals = run(path, &filter, NULL, NULL);
	describe(&text);
	ck_assert_str_eq(text.text, "<module>>load 0 +2-0, <module>>load>parse 1 +4-0");
	ck_assert_int_eq(totals.rss_first, 2 * 4096);
	ck_assert_int_eq(totals.rss_last, 8 * 4096);
	done(NULL);
}
END_TEST

static void on_left(void *context, const struct stacks_left *left)
{
	struct text *text = context;
	note_path(text, left->node);
	note(text, "=%ld%s%s%s%s ", (long)left->retained / 4096, left->unsure ? "?" : "",
	     left->resumed ? "r" : "", left->suspended ? "s" : "", left->exception ? "x" : "");
}

static const struct {
	const char *what, *trace, *left;
} lefts[] = {
	{ "locals die behind the return", "c1=1 c2 r2=9 c2=4 r2=12 C1.2=4 R1.2 r1",
	  "<module>>load=3 <module>>load=0 <module>>len=0 " },
	{ "callees are included", "c1=1 c2 c3 r3=5 r2=6 r1", "<module>>load>parse=5 <module>>load=5 " },
	{ "what other threads grow is not retained here", "c1=1 c2 'c3=1 'r3=7 r2 r1", "<module>>load=0 " },
	{ "generators stop each time", "c1=1 c3 y3=3 g3 r3=4 r1", "<module>>parse=2s <module>>parse=1r " },
	{ "exceptions", "c1=1 c3 x3=3 r1", "<module>>parse=2x " },
	{ "frames from before are not told", "s1=1 s2 r2=3 r1", "" },
};

START_TEST(calls_are_told_what_they_retain)
{
	struct text text = { .size = 0 };
	const struct stacks_sink sink = { .context = &text, .left = on_left };
	run(make_trace(lefts[_i].trace, MT_HOOK_MONITORING), NULL, &sink, NULL);
	ck_assert_msg(strcmp(text.text, lefts[_i].left) == 0, "%s: %s", lefts[_i].what, text.text);
	done(NULL);
}
END_TEST

static void on_left_of_whom(void *context, const struct stacks_left *left)
{
	struct text *text = context;
	note_path(text, left->caller);
	note(text, " %u %ld of %ld, in all %ld from %ld%s, ", left->depth, (long)left->behind / 4096,
	     (long)left->retained / 4096, (long)left->net / 4096, (long)left->caller_net / 4096,
	     left->counted ? "" : ", not counted");
}

START_TEST(calls_are_told_with_what_is_their_callers)
{
	/* load() is entered at 2, parse() at 4 and left at 5; load() grows to 8, is left at 9, and 1 is released. */
	struct text text = { .size = 0 };
	const struct stacks_sink sink = { .context = &text, .left = on_left_of_whom };
	const char *path = make_trace("c1=1 c2=2 c3=4 r3=5 r2=9 r1=8", MT_HOOK_MONITORING);
	run(path, NULL, &sink, NULL);
	ck_assert_str_eq(text.text, "<module>>load 3 4 of 5, in all 8 from 1, <module> 2 -1 of 6, in all 7 from 0, ");
	done(NULL);
	text = (struct text){ .size = 0 };
	run(path, &(struct filter_options){ .to = "#3" }, &sink, NULL);
	ck_assert_str_eq(text.text,
			 "<module>>load 3 0 of 1, in all 4 from 1, <module> 2 0 of 3, in all 4 from 0, not counted, ");
	done(NULL);
}
END_TEST

static void on_stretch_volume(void *context, const struct stacks_stretch *stretch)
{
	*(unsigned __int128 *)context += (unsigned __int128)llabs(stretch->bytes);
}

/* Steps of 2^56 bytes, 240 of them: whoever adds them up, even in 64 bits with a sign, must not overflow. */
START_TEST(what_no_machine_has_is_not_told)
{
	static char text[4096];
	unsigned __int128 volume = 0;
	const struct stacks_sink sink = { .context = &volume, .stretch = on_stretch_volume };
	int size = snprintf(text, sizeof(text), "c1=1");
	for (int i = 0; i < 60; i++)
		size += snprintf(text + size, sizeof(text) - (size_t)size,
				 " c2=4294967295 r2=1 c3=4294967295 r3=1");
	page_size = 1U << 24;
	run(make_trace(text, MT_HOOK_MONITORING), NULL, &sink, NULL);
	page_size = 0;
	ck_assert(volume > 0);
	ck_assert(volume < (unsigned __int128)INT64_MAX / 2);
	done(NULL);
}
END_TEST

START_TEST(the_peak_knows_its_path)
{
	struct stacks *stacks;
	run(make_trace("c1=1 'c4 c2=3 c3=4 r3=9 r2=9 r1=2", MT_HOOK_MONITORING), NULL, NULL, &stacks);
	const struct stacks_peak *peak = stacks_peak(stacks);
	struct text text = { .size = 0 };
	ck_assert(peak->any);
	ck_assert_uint_eq(peak->rss_bytes, 9 * 4096);
	ck_assert_uint_eq(peak->number, 4);
	ck_assert_uint_eq(peak->frame_count, 3);
	for (size_t i = 0; i < peak->frame_count; i++)
		note(&text, "%s %ld ", functions_name(functions, peak->frames[i].function),
		     (long)peak->frames[i].climbed / 4096);
	ck_assert_str_eq(text.text, "<module> 8 load 6 parse 5 ");
	ck_assert_uint_eq(peak->top_count, 1);
	ck_assert_uint_eq(peak->tops[0].thread, 1);
	ck_assert_int_eq(peak->unsure, 2 * 4096);
	done(stacks);
}
END_TEST

START_TEST(before_3_12_the_place_tells_who_goes_on)
{
	/* sample_items() has no generators: each CALL is a call. */
	struct text text;
	run(make_trace("c1=1 g3 y3 g3 r3 r1", MT_HOOK_SETPROFILE), NULL, NULL, NULL);
	describe(&text);
	ck_assert_str_eq(text.text, "<module> 1, <module>>parse 2");
	done(NULL);
}
END_TEST

static void on_stretch(void *context, const struct stacks_stretch *stretch)
{
	struct text *text = context;
	note(text, "%lu:%lu ", (unsigned long)stretch->number, (unsigned long)stretch->code);
}

START_TEST(stretches_know_where_their_frame_stands)
{
	struct text text = { .size = 0 };
	const struct stacks_sink sink = { .context = &text, .stretch = on_stretch };
	/* Before c1 nobody; before c2 where c1 began; before c3, behind a return, nobody knows. */
	run(make_trace("c1 c2 r2 c3 C3.1 R3.1 c4 r4 r3 r1", MT_HOOK_MONITORING), NULL, &sink, NULL);
	ck_assert_str_eq(text.text, "0:0 1:1 2:2 3:0 4:3 5:3 6:3 7:4 8:3 9:1 ");
	done(NULL);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("stacks");
	tcase_add_loop_test(tcase, steps_are_charged_as_attribution_md_says, 0, COUNT(cases));
	tcase_add_test(tcase, time_is_that_of_the_thread);
	tcase_add_test(tcase, a_window_takes_the_stretches_that_end_in_it);
	tcase_add_loop_test(tcase, calls_are_told_what_they_retain, 0, COUNT(lefts));
	tcase_add_test(tcase, calls_are_told_with_what_is_their_callers);
	tcase_add_test(tcase, what_no_machine_has_is_not_told);
	tcase_add_test(tcase, the_peak_knows_its_path);
	tcase_add_test(tcase, before_3_12_the_place_tells_who_goes_on);
	tcase_add_test(tcase, stretches_know_where_their_frame_stands);
	return suite_run("stacks", tcase);
}
