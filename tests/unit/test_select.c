/*
 * Which events are shown: the rules in small tables, and what is not read for it.
 *
 * The rules over random traces and options are held to a model by tests/python/test_log_rules.py.
 */
#include <string.h>

#include "analyzer/message.h"
#include "analyzer/select.h"
#include "tests/unit/sample.h"
#include "tests/unit/scratch_dir.h"
#include "tests/unit/suite.h"

/*
 * Traces from a text: one letter a record, then its RSS in pages.
 *     e   an event (a call of load())     x  an extra one (of a type)    s  a synthetic call
 *     m   a message                       l  LOST, of that many          L  LOST of unnumbered ones
 * "|" ends a block. m, l and L leave the RSS as it is.
 */
static const char *make_trace(const char *text)
{
	struct sample sample;
	uint8_t items[SAMPLE_DEFS_MAX];
	struct mt_record records[128];
	size_t count = 0;
	uint64_t clock = 0;
	uint32_t rss = 0;
	const struct mt_header header = sample_header();
	sample_init(&sample, NULL);
	ck_assert_int_eq(mt_writer_header(&sample.writer, &header), MT_OK);
	ck_assert_int_eq(mt_writer_defs(&sample.writer, items, sample_items(items, sizeof(items))), MT_OK);
	for (const char *at = text;; at++) {
		if (*at == '|' || !*at) {
			ck_assert_int_eq(mt_writer_events(&sample.writer, records, count, NULL, count), MT_OK);
			count = 0;
		}
		if (!*at)
			break;
		if (*at == ' ' || *at == '|')
			continue;
		const char what = *at;
		char *end = NULL;
		const uint32_t number = (uint32_t)strtoul(at + 1, &end, 10);
		at = end - 1;
		struct mt_event event = { .clock_ticks = clock += 100, .kind = MT_KIND_CALL, .code = 2 };
		switch (what) {
		case 'x':
			event.kind = MT_KIND_C_CALL;
			event.flags = MT_FLAG_EXTRA;
			event.callee = 3;
			break;
		case 's':
			event.flags = MT_FLAG_SYNTHETIC;
			break;
		case 'm':
			event.kind = MT_KIND_META;
			event.code = MT_META_MESSAGE;
			event.callee = number;
			break;
		case 'l':
		case 'L':
			event.kind = MT_KIND_META;
			event.code = MT_META_LOST;
			event.callee = MT_LOST_RING_FULL;
			event.lasti = number;
			event.flags = what == 'L' ? MT_FLAG_EXTRA : 0;
			break;
		}
		if (event.kind != MT_KIND_META)
			rss = number;
		event.rss_pages = rss;
		records[count++] = mt_record_pack(&event);
	}
	const struct mt_end end = sample_end(&sample.writer);
	ck_assert_int_eq(mt_writer_end(&sample.writer, &end), MT_OK);
	const char *path = scratch_path("select.mtrace");
	FILE *file = fopen(path, "wb");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(sample.memory.data, 1, sample.memory.sink.size, file), sample.memory.sink.size);
	fclose(file);
	sample_release(&sample);
	return path;
}

/*
 * Lines to a text: "N3+2=5" is NEXT 3, dEvent 2, d 5 pages; P is PREV; "m4" a message, "l5" a loss, "L5"
 * one without numbers, "d5" damage.
 */
struct shown {
	char text[4096];
	size_t size;
	int left;                       /* lines until the output fails; < 0: never */
};

__attribute__((format(printf, 2, 3)))
static void note(struct shown *shown, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	shown->size += (size_t)snprintf(shown->text + shown->size, sizeof(shown->text) - shown->size, "%s",
					shown->size ? " " : "");
	shown->size += (size_t)vsnprintf(shown->text + shown->size, sizeof(shown->text) - shown->size, format,
					 arguments);
	va_end(arguments);
}

static void on_block(void *context, size_t n_sites)
{
	(void)context;
	ck_assert_uint_gt(n_sites, 0);
}

static void on_line(void *context, const struct select_line *line)
{
	char number[48] = "-";
	if (!line->is_unnumbered)
		snprintf(number, sizeof(number), "%lu", (unsigned long)line->number);
	if (line->extra)
		snprintf(number + strlen(number), 22, ".%lu", (unsigned long)line->extra);
	note(context, "%c%s+%ld=%ld", line->is_prev ? 'P' : 'N', number, (long)line->d_number,
	     (long)line->d_pages);
}

static void on_message(void *context, const struct mt_event *event)
{
	note(context, "m%u", (unsigned)event->callee);
}

static void on_lost(void *context, uint64_t count, uint32_t reason, bool unnumbered)
{
	ck_assert_uint_eq(reason, MT_LOST_RING_FULL);
	note(context, "%c%lu", unnumbered ? 'L' : 'l', (unsigned long)count);
}

static void on_damaged(void *context, uint64_t count)
{
	note(context, "d%lu", (unsigned long)count);
}

static bool go_on(void *context)
{
	struct shown *shown = context;
	return shown->left < 0 || shown->left-- > 0;
}

static struct select_work run(const char *path, const struct filter_options *options, struct shown *shown)
{
	const struct stream_options quiet = { .quiet = true };
	struct stream *stream = stream_open(path, &quiet);
	ck_assert_ptr_nonnull(stream);
	struct resolve *resolve = resolve_new(stream_names(stream), RESOLVE_FULL);
	struct timeline timeline;
	timeline_init(&timeline, stream_header(stream), TIMELINE_START);
	struct filter filter;
	ck_assert(filter_init(&filter, options, stream_header(stream), stream_names(stream), resolve, &timeline));
	const struct select_sink sink = {
		.context = shown, .block = on_block, .line = on_line, .message = on_message, .lost = on_lost,
		.damaged = on_damaged, .go_on = go_on,
	};
	struct select_work work;
	select_run(stream, &filter, &sink, &work);
	filter_release(&filter);
	resolve_free(resolve);
	stream_close(stream);
	return work;
}

#define PAGES(n) { .given = true, .bytes = (n) * 4096LL }
#define MIN(n) { .min_drss = PAGES(n) }
#define SHOWN(n) { .min_drss = PAGES(n), .since = FILTER_SINCE_SHOWN }
#define TYPES(n) { .min_drss = PAGES(n), .types = true }

static const struct {
	const char *trace;
	struct filter_options options;
	const char *shown;
	uint64_t decoded, whole;                /* blocks, the trace cut at "|" */
} rules[] = {
	/* Threshold 0 shows everything and no PREV. */
	{ "e9 e9 e8", MIN(0), "N0+0=9 N1+1=0 N2+1=-1", 1, 1 },
	/* PREV is the event before, if it was not shown; dEvent of both counts from the last NEXT. */
	{ "e9 e9 e9 e9 e12", MIN(2), "N0+0=9 P3+3=0 N4+4=3", 1, 1 },
	{ "e9 e12 e9 e12", MIN(2), "N0+0=9 N1+1=3 N2+1=-3 N3+1=3", 1, 1 },
	/* Before anything was shown, event 1 counts from event 0 and has no PREV, event 2 has. */
	{ "e1 e9", MIN(5), "N1+1=8", 1, 1 },
	{ "e1 e1 e9", MIN(5), "P1+1=0 N2+2=8", 1, 1 },
	/* A slow growth shows nothing, but for the other rule. */
	{ "e9 e10 e11 e12 e13 e14", MIN(3), "N0+0=9", 1, 1 },
	{ "e9 e10 e11 e12 e13 e14", SHOWN(3), "N0+0=9 P2+2=2 N3+3=3", 1, 1 },
	{ "e9 e8 e7 e6 e5", SHOWN(3), "N0+0=9 P2+2=-2 N3+3=-3", 1, 1 },
	/* One-sided forms. */
	{ "e9 e9 e5 e5 e9", { .min_growth = PAGES(1) }, "N0+0=9 P3+3=0 N4+4=4", 1, 1 },
	{ "e9 e9 e5 e5 e9", { .min_release = PAGES(1) }, "P1+1=0 N2+2=-4", 1, 1 },
	/* A block whose steps are small is skipped, and its last event is still the one before. */
	{ "e9 | e9 e9 | e12", MIN(2), "N0+0=9 P2+2=0 N3+3=3", 2, 2 },
	{ "e9 | e9 | e10 | e14", MIN(2), "N0+0=9 P2+2=1 N3+3=4", 2, 2 },
	/* Only if the zone map does not say how large that one's step was is it read. */
	{ "e9 | e10 e11 | e14", MIN(2), "N0+0=9 P2+2=1 N3+3=3", 3, 2 },
	{ "e9 | e10 e11 | e14", SHOWN(4), "N0+0=9 P2+2=2 N3+3=5", 2, 2 },
	{ "e9 | s9 | e9 e10 | s10 | e14", MIN(2), "N0+0=9 P2+2=1 N3+3=4", 3, 2 },
	/* Nothing is read at all. */
	{ "e1 | e2 | e3 | e3 e3", MIN(2), "", 0, 0 },
	{ "e9 | e9 e9 | e9", { .min_drss = PAGES(0), .thread = "1" }, "", 0, 0 },
	{ "e9 | e9 e9 | e9", { .min_drss = PAGES(0), .from = "#1", .to = "#2" }, "N1+1=0 N2+1=0", 1, 1 },
	/* Names are looked at before clocks and threads are. */
	{ "e9 | e9 e9 | e9", { .min_drss = PAGES(0), .function = "append" }, "", 3, 0 },
	{ "e9 | e9 e9 | e9", { .min_drss = PAGES(0), .function = "load" }, "N0+0=9 N1+1=0 N2+1=0 N3+1=0", 3, 3 },
	/* d, PREV and numbers are of the default sequence: an extra record splits no step. */
	{ "e9 x10 e11", MIN(2), "N0+0=9 N1+1=2", 1, 1 },
	{ "e9 e9 s20 e9 e13", MIN(2), "N0+0=9 P2+2=0 N3+3=4", 1, 1 },
	/* With --types it is one of them, numbered N.k. */
	{ "e9 x10 e11", TYPES(2), "N0+0=9", 1, 1 },
	{ "e9 x12 x12 e15", TYPES(2), "N0+0=9 N0.1+0=3 P0.2+0=0 N1+1=3", 1, 1 },
	{ "x9 e9", TYPES(0), "N-.1+0=9 N0+0=0", 1, 1 },
	{ "e9 | e9 e9 x9 | e15", TYPES(2), "N0+0=9 P2.1+2=0 N3+3=6", 3, 2 },
	{ "e9 | e9 x9 e9 | e9 e9 | e9", TYPES(2), "N0+0=9", 3, 2 },
	{ "e9 e9 | e9 x9 e9 | e9 e9 | e9 e9", TYPES(2), "N0+0=9", 1, 1 },
	{ "e9 e9 | e9 e9 | x12 e12", TYPES(2), "N0+0=9 P3+3=0 N3.1+3=3", 3, 2 },
	/* Messages are shown whatever the steps are. */
	{ "e9 m5 e9 | e9 m7", MIN(2), "N0+0=9 m5 m7", 2, 2 },
	{ "e9 m5 e9", { .min_drss = PAGES(2), .kinds = 1 << MT_KIND_CALL }, "N0+0=9", 1, 1 },
	{ "e9 m5 e9", { .min_drss = PAGES(2), .kinds = FILTER_KIND_MESSAGE }, "m5", 1, 1 },
	/* Losses take numbers, and the event before one is not the event before. */
	{ "e9 e9 l5 e12", MIN(2), "N0+0=9 l5 N7+7=3", 1, 1 },
	{ "e9 e9 L5 e12", MIN(2), "N0+0=9 L5 P1+1=0 N2+2=3", 1, 1 },
	{ "e9 e9 L5 e12", TYPES(2), "N0+0=9 L5 N2+2=3", 1, 1 },
	{ "e9 e9 l5 | e12", MIN(2), "N0+0=9 l5 N7+7=3", 2, 2 },
	{ "e9 l5 e9 | e12", MIN(2), "N0+0=9 l5 P6+6=0 N7+7=3", 2, 2 },
	/* A PREV must pass what a NEXT must pass. */
	{ "e9 e9 e12", { .min_drss = PAGES(2), .from = "#2" }, "N2+2=3", 1, 1 },
	{ "e9 e9 | e12", { .min_drss = PAGES(2), .from = "#2" }, "N2+2=3", 1, 1 },
	{ "e9 e9 | e12", { .min_drss = PAGES(2), .from = "#1" }, "P1+1=0 N2+2=3", 2, 2 },
};

START_TEST(the_rules_choose_lines_and_blocks)
{
	struct shown shown = { .left = -1 };
	const struct select_work work = run(make_trace(rules[_i].trace), &rules[_i].options, &shown);
	ck_assert_str_eq(shown.text, rules[_i].shown);
	ck_assert_msg(work.blocks_decoded == rules[_i].decoded && work.blocks_whole == rules[_i].whole,
		      "%s: %lu blocks decoded, %lu whole", rules[_i].trace, (unsigned long)work.blocks_decoded,
		      (unsigned long)work.blocks_whole);
}
END_TEST

START_TEST(a_failed_output_ends_the_run)
{
	struct shown shown = { .left = 1 };
	const struct filter_options all = MIN(0);
	const struct select_work work = run(make_trace("e1 | e2 | e3 | e4"), &all, &shown);
	ck_assert_str_eq(shown.text, "N0+0=1 N1+1=1");
	ck_assert_uint_eq(work.blocks, 2);
}
END_TEST

/* A block that cannot be read leaves a line, and the events behind it keep their numbers and steps. */
START_TEST(a_damaged_block_is_told_in_its_place)
{
	const char *path = make_trace("e9 e9 | e9 e12 e9 | e10 e10");
	FILE *file = fopen(path, "r+b");
	struct mt_source *source = NULL;
	struct mt_reader *reader = NULL;
	struct mt_chunk chunk;
	ck_assert_int_eq(mt_source_file(&source, path), MT_OK);
	ck_assert_int_eq(mt_reader_new(&reader, source, NULL), MT_OK);
	for (int blocks = 0; blocks < 2;)
		if (mt_reader_next(reader, &chunk) == MT_OK)
			blocks += chunk.header.kind == MT_CHUNK_EVENTS;
	/* The last byte of a frame is its checksum's. */
	fseek(file, (long)(chunk.payload_offset + chunk.header.payload_size - 1), SEEK_SET);
	const int byte = fgetc(file);
	fseek(file, -1, SEEK_CUR);
	fputc(byte ^ 1, file);
	fclose(file);
	mt_reader_free(reader);
	mt_source_close(source);

	struct shown shown = { .left = -1 };
	const struct filter_options options = MIN(1);
	run(path, &options, &shown);
	ck_assert_str_eq(shown.text, "N0+0=9 d3 N5+5=1");
	ck_assert_int_eq(message_exit_status(), EXIT_DAMAGE);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("select");
	tcase_add_loop_test(tcase, the_rules_choose_lines_and_blocks, 0, COUNT(rules));
	tcase_add_test(tcase, a_failed_output_ends_the_run);
	tcase_add_test(tcase, a_damaged_block_is_told_in_its_place);
	return suite_run("select", tcase);
}
