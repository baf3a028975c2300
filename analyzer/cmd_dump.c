/*
 * mtdump dump: every record as a line of numbers and names, for comparing this decoder with another
 * one (tests/python/refdecoder.py prints the same). Hidden: the log is for people.
 *
 *     ordinal event clock kind flags code callee thread rss lasti file line function
 *
 * Tab separated. The ordinal is the record's ring index (format.md §6.2), the event a number or "-".
 * Names are bytes with everything outside 0x20..0x7e, and the backslash, as \xNN; "-" is unknown.
 */
#include <stdlib.h>
#include <string.h>

#include "analyzer/command.h"
#include "analyzer/digits.h"
#include "analyzer/message.h"
#include "analyzer/options.h"
#include "analyzer/out.h"
#include "analyzer/progress.h"
#include "analyzer/stream.h"

enum { BLOCKS_MAX = 1024 };

/* Which blocks, by their place in the trace from 0. */
struct block_list {
	size_t count;                   /* 0: all */
	uint64_t ordinals[BLOCKS_MAX];
};

struct dump_options {
	struct block_list blocks;
};

static const char *set_blocks(void *field, const char *argument)
{
	struct block_list *const list = field;
	char *end;

	list->count = 0;
	for (const char *p = argument;; p = end + 1) {
		if (*p < '0' || *p > '9' || list->count == BLOCKS_MAX)
			return "not a list of block numbers";
		list->ordinals[list->count++] = strtoull(p, &end, 10);
		if (*end == '\0')
			return NULL;
		if (*end != ',')
			return "not a list of block numbers";
	}
}

static const struct option_spec dump_rows[] = {
	{ 0, "blocks", "LIST", set_blocks, offsetof(struct dump_options, blocks),
	  "only these blocks: numbers from 0, comma separated", NULL },
	{ 0 },
};

static bool block_wanted(const struct block_list *list, uint64_t ordinal)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->ordinals[i] == ordinal)
			return true;
	return list->count == 0;
}

/* ---- text ---- */

static char *put_bytes(char *at, const struct mt_string *string)
{
	static const char hex[] = "0123456789abcdef";
	if (!string) {
		*at++ = '-';
		return at;
	}
	for (uint32_t i = 0; i < string->size; i++) {
		const unsigned char byte = (unsigned char)string->bytes[i];
		if (byte >= 0x20 && byte <= 0x7e && byte != '\\') {
			*at++ = (char)byte;
		} else {
			*at++ = '\\';
			*at++ = 'x';
			*at++ = hex[byte >> 4];
			*at++ = hex[byte & 15];
		}
	}
	return at;
}

/* File, line and function of a site (format.md §7.5, §7.6); NULL without memory. */
static char *site_names(const struct mt_names *names, const struct mt_event *event)
{
	const bool meta = event->kind == MT_KIND_META;
	const struct mt_code *code = meta ? NULL : mt_names_code(names, event->code);
	const struct mt_string *file = code ? mt_names_string(names, code->filename) : NULL;
	const struct mt_string *function = code ? mt_names_string(names, code->name) : NULL;
	int64_t line = 0;

	if (code)
		line = event->kind == MT_KIND_LINE ? (int64_t)event->lasti
						   : mt_code_line(code, event->lasti);
	if (event->kind >= MT_KIND_C_CALL && event->kind <= MT_KIND_C_RETURN) {
		const struct mt_cfunc *cfunc = mt_names_cfunc(names, event->callee);
		function = cfunc ? mt_names_string(names, cfunc->name) : NULL;
	}

	char *text = malloc(4 * ((file ? (size_t)file->size : 1) + (function ? (size_t)function->size : 1)) +
			    DIGITS_MAX + 8);
	if (!text)
		return NULL;
	char *at = put_bytes(text, file);
	*at++ = '\t';
	if (!code || line < 0)
		*at++ = '-';
	if (code)
		at = digits_put(at, (uint64_t)(line < 0 ? -line : line));
	*at++ = '\t';
	at = put_bytes(at, function);
	*at++ = '\n';
	*at = '\0';
	return text;
}

/* One record's line; its names are looked up once a site. False without memory. */
static bool put_record(struct out *out, const struct mt_names *names, char **names_text,
		       uint64_t ordinal, const uint64_t *number, const struct mt_event *event)
{
	const uint64_t fields[] = {
		event->clock_ticks, event->kind, event->flags, event->code, event->callee,
		event->thread, event->rss_pages, event->lasti,
	};
	if (!*names_text)
		*names_text = site_names(names, event);
	if (!*names_text)
		return false;

	char *const room = out_reserve(out, 10 * (size_t)(DIGITS_MAX + 1));
	char *at = digits_put(room, ordinal);
	*at++ = '\t';
	if (number)
		at = digits_put(at, *number);
	else
		*at++ = '-';
	*at++ = '\t';
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		at = digits_put(at, fields[i]);
		*at++ = '\t';
	}
	out_commit(out, (size_t)(at - room));
	out_string(out, *names_text);
	return true;
}

static bool put_block(struct out *out, const struct mt_names *names, const struct mt_block *block)
{
	const struct mt_zone *const zone = &block->zone;
	char **const site_text = calloc(zone->n_sites, sizeof(*site_text));
	uint64_t number = zone->first_event;
	bool ok = site_text != NULL;

	for (uint32_t i = 0; ok && i < zone->n_events && !out_failed(out); i++) {
		const struct mt_event event = mt_block_event(block, i);
		const bool numbered = mt_event_is_default(&event);
		ok = put_record(out, names, &site_text[block->site[i]],
				zone->first_record - zone->lost + i, numbered ? &number : NULL, &event);
		if (numbered)
			number++;
		else if (event.kind == MT_KIND_META && event.code == MT_META_LOST &&
			 !(event.flags & MT_FLAG_EXTRA))
			number += event.lasti;
	}
	for (uint32_t i = 0; site_text && i < zone->n_sites; i++)
		free(site_text[i]);
	free(site_text);
	return ok;
}

static void dump_trace(struct out *out, const char *path, const struct dump_options *options)
{
	struct stream *const stream = stream_open(path, NULL);
	struct stream_block block;

	if (!stream)
		return;
	for (uint64_t ordinal = 0; !out_failed(out) && stream_next(stream, &block); ordinal++) {
		progress_show(stream_progress(stream));
		if (!block_wanted(&options->blocks, ordinal))
			continue;
		const struct mt_block *const records = stream_decode(stream, MT_BLOCK_ALL);
		if (records && !put_block(out, stream_names(stream), records)) {
			message_error(EXIT_LIMIT, path, "%s", mt_status_string(MT_ERR_NO_MEMORY));
			break;
		}
	}
	stream_close(stream);
}

void cmd_dump(const struct command *command, int argc, char **argv)
{
	static struct dump_options options;
	struct out_options out_options = { 0 };
	const struct option_table tables[] = {
		{ "records", dump_rows, &options },
		{ "output", out_option_rows, &out_options },
		{ 0 },
	};
	int first;

	if (!options_parse_traces(command, tables, argc, argv, &first))
		return;
	struct out *const out = out_open(&out_options);
	if (!out)
		return;
	progress_begin("reading");
	for (int i = first; i < argc && !out_failed(out); i++)
		dump_trace(out, argv[i], &options);
	progress_end();
	out_close(out);
}
