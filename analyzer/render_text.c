/*
 * The text log.
 *
 * The middle of a line, from What to Function, depends on the site alone (middles.h); only numbers are formatted
 * per line.
 */
#include "analyzer/render_text.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/digits.h"
#include "analyzer/middles.h"

const struct render_text_widths render_text_fixed = {
	.file = RENDER_TEXT_FILE_MAX, .function = RENDER_TEXT_FUNCTION_MAX, .rss = RENDER_TEXT_RSS_MAX,
	.in_bytes = true,
};

struct render_text {
	struct out *out;
	struct resolve *resolve;
	const struct timeline *timeline;
	uint32_t page_size;
	struct render_text_widths widths;
	unsigned clock_width;
	bool color;

	struct middles middles;
};

/*
 * Widths
 */

static unsigned widest(unsigned width, const char *name, unsigned most)
{
	const size_t columns = resolve_width(name);
	return columns > most ? most : columns > width ? (unsigned)columns : width;
}

struct render_text_widths render_text_fit(const struct mt_names *names, struct resolve *resolve,
					  uint64_t rss_bytes_max, bool types)
{
	unsigned file = (unsigned)strlen("File");
	unsigned function = (unsigned)strlen("Function");
	const uint32_t code_count = mt_names_code_count(names);
	for (uint32_t id = 1; id <= code_count; id++) {
		const struct mt_code *code = mt_names_code(names, id);
		if (!code)
			continue;
		file = widest(file, resolve_path(resolve, code->filename), RENDER_TEXT_FILE_MAX - 1);
		function = widest(function, resolve_string(resolve, code->name), RENDER_TEXT_FUNCTION_MAX);
	}
	const uint32_t cfunc_count = mt_names_cfunc_count(names);
	for (uint32_t id = 1; id <= cfunc_count; id++) {
		const struct mt_cfunc *cfunc = mt_names_cfunc(names, id);
		if (cfunc && (types || !cfunc->is_type))
			function = widest(function, resolve_string(resolve, cfunc->name),
					  RENDER_TEXT_FUNCTION_MAX);
	}
	unsigned rss = digits_count(rss_bytes_max);
	if (rss < 3)
		rss = 3;
	return (struct render_text_widths){
		.file = file + 1,       /* one blank between the longest name and '#' */
		.function = function,
		.rss = rss > RENDER_TEXT_RSS_MAX ? RENDER_TEXT_RSS_MAX : rss,
	};
}

/*
 * Set-up
 */

struct render_text *render_text_new(struct out *out, struct resolve *resolve,
				    const struct timeline *timeline, uint32_t page_size,
				    const struct render_text_widths *widths)
{
	struct render_text *text = calloc(1, sizeof(*text));
	if (!text)
		return NULL;
	text->out = out;
	text->resolve = resolve;
	text->timeline = timeline;
	text->page_size = page_size;
	text->widths = *widths;
	text->clock_width = timeline_width(timeline->clock);
	text->color = out_color(out);
	return text;
}

void render_text_free(struct render_text *text)
{
	if (!text)
		return;
	middles_release(&text->middles);
	free(text);
}

void render_text_header(struct render_text *text)
{
	out_printf(text->out, "      %-12s %-6s  %-*s %-8s %-*s#%4s %-*s %*s %12s\n", "Event", "dEvent",
		   (int)text->clock_width, "Clock", "What", (int)text->widths.file, "File", "line",
		   (int)text->widths.function, "Function", (int)text->widths.rss, "RSS", "dRSS");
}

/*
 * Middles
 */

void render_text_block(void *context, size_t n_sites)
{
	struct render_text *text = context;
	middles_block(&text->middles, n_sites);
}

/* Blanks that bring `name` to `width`. */
static size_t padding(const struct render_text *text, const char *name, size_t size, unsigned width)
{
	const size_t have = text->widths.in_bytes ? size : resolve_width(name);
	return have < width ? width - have : 0;
}

/* "CALL     test.py #   9 create_string "; NULL without memory. */
static const char *make_middle(struct render_text *text, const struct select_line *line, size_t *size_out)
{
	const struct mt_event *event = &line->event;
	const char *kind = resolve_kind(event->kind);
	const char *file = resolve_file(text->resolve, event);
	const char *function = resolve_function(text->resolve, event);
	const int32_t number = resolve_line(text->resolve, event);
	const size_t file_size = strlen(file);
	const size_t function_size = strlen(function);
	const size_t file_blanks = padding(text, file, file_size, text->widths.file);
	const size_t function_blanks = padding(text, function, function_size, text->widths.function);
	char *start = middles_reserve(&text->middles, 16 + file_size + file_blanks + 16 + function_size +
						      function_blanks + 1);
	*size_out = 0;
	if (!start)
		return NULL;

	char *at = start;
	const size_t kind_size = strlen(kind);
	memcpy(at, kind, kind_size);
	at = digits_pad(at + kind_size, start + 8);
	*at++ = ' ';
	memcpy(at, file, file_size);
	at = digits_pad(at + file_size, at + file_size + file_blanks);
	*at++ = '#';
	at = digits_put_right(at, number < 0 ? -(uint64_t)number : (uint64_t)number, number < 0, 4);
	*at++ = ' ';
	memcpy(at, function, function_size);
	at = digits_pad(at + function_size, at + function_size + function_blanks);
	*at++ = ' ';
	*size_out = (size_t)(at - start);
	return middles_commit(&text->middles, line->site, *size_out);
}

/*
 * Lines
 */

/* Blanks for a short column, to be written over from the left. Returns its end for what is in it. */
static char *blank12(char *column)
{
	memset(column, ' ', 12);
	return column + 12;
}

static char *farther(char *a, char *b)
{
	return a > b ? a : b;
}

/* From the label to the blank before What. */
static char *put_front(const struct render_text *text, const struct select_line *line, char *at)
{
	memcpy(at, line->is_prev ? "PREV: " : "NEXT: ", 6);
	at += 6;
	char *end = blank12(at);
	if (line->is_unnumbered)
		*at++ = '-';
	else
		at = digits_put(at, line->number);
	if (line->extra) {
		*at++ = '.';
		at = digits_put(at, line->extra);
	}
	at = farther(at, end);
	*at++ = ' ';
	*at++ = '+';
	blank12(at);
	end = at + 6;
	if (line->d_number < 0)
		*at++ = '-';
	at = digits_put(at, line->d_number < 0 ? -(uint64_t)line->d_number : (uint64_t)line->d_number);
	at = farther(at, end);
	*at++ = ' ';
	blank12(at);
	end = at + text->clock_width;
	at = timeline_put(text->timeline, line->event.clock_ticks, at);
	at = digits_pad(at, end);
	*at++ = ' ';
	return at;
}

static char *put_back(const struct render_text *text, const struct select_line *line, char *at)
{
	const bool down = line->d_pages < 0;
	const uint64_t pages = down ? -(uint64_t)line->d_pages : (uint64_t)line->d_pages;
	at = digits_put_right(at, (uint64_t)line->event.rss_pages * text->page_size, false, text->widths.rss);
	*at++ = ' ';
	return digits_put_right(at, pages * text->page_size, down, 12);
}

/* All of a line but its names. */
#define NUMBERS_MAX 256
#define TINT_SIZE 5

void render_text_line(void *context, const struct select_line *line)
{
	struct render_text *text = context;
	size_t size = 0;
	const char *middle = middles_get(&text->middles, line->site, &size);
	if (!middle)
		middle = make_middle(text, line, &size);
	const bool tinted = text->color && !line->is_prev && line->d_pages != 0;
	const bool is_long = size > OUT_RESERVE_MAX - NUMBERS_MAX;
	char *start = out_reserve(text->out, is_long ? NUMBERS_MAX : size + NUMBERS_MAX);
	char *at = start;
	if (tinted) {
		memcpy(at, line->d_pages > 0 ? "\033[31m" : "\033[32m", TINT_SIZE);
		at += TINT_SIZE;
	}
	at = put_front(text, line, at);
	if (is_long) {
		out_commit(text->out, (size_t)(at - start));
		out_write(text->out, middle, size);
		at = start = out_reserve(text->out, NUMBERS_MAX);
	} else if (size) {
		memcpy(at, middle, size);
		at += size;
	}
	at = put_back(text, line, at);
	if (tinted) {
		memcpy(at, "\033[m", 3);
		at += 3;
	}
	*at++ = '\n';
	out_commit(text->out, (size_t)(at - start));
}

void render_text_message(void *context, const struct mt_event *event)
{
	struct render_text *text = context;
	out_string(text->out, "MSG: ");
	out_string(text->out, resolve_string(text->resolve, event->callee));
	out_string(text->out, "\n");
}

void render_text_lost(void *context, uint64_t count, uint32_t reason, bool unnumbered)
{
	struct render_text *text = context;
	char number[DIGITS_MAX + 1];
	*digits_put(number, count) = '\0';
	/* A count of 0: something is missing and nobody knows how much. */
	out_printf(text->out, "LOST: %s %s%s\n", count ? number : "?", stream_lost_reason(reason),
		   unnumbered ? ", without numbers" : "");
}

void render_text_damaged(void *context, uint64_t count)
{
	struct render_text *text = context;
	char number[DIGITS_MAX + 1];
	*digits_put(number, count) = '\0';
	out_printf(text->out, "LOST: %s unreadable\n", number);
}

bool render_text_go_on(void *context)
{
	const struct render_text *text = context;
	return !out_failed(text->out);
}

/*
 * As one of the formats of `mtdump log`
 */

static void *begin(const struct render_setup *setup)
{
	struct render_text_widths widths = render_text_fixed;
	if (setup->layout == RENDER_TEXT_FIT && setup->is_whole)
		widths = render_text_fit(setup->names, setup->resolve, setup->rss_bytes_max, setup->types);
	struct render_text *text = render_text_new(setup->out, setup->resolve, setup->timeline,
						   setup->header->page_size, &widths);
	if (text)
		render_text_header(text);
	return text;
}

static void end(void *context)
{
	render_text_free(context);
}

const struct render render_text = {
	.name = "text", .has_heads = true, .begin = begin, .end = end,
	.sink = {
		.block = render_text_block, .line = render_text_line, .message = render_text_message,
		.lost = render_text_lost, .damaged = render_text_damaged, .go_on = render_text_go_on,
	},
};
