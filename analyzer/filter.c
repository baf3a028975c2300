/*
 * Predicates over events and zone maps.
 *
 * Globs match names as the log prints them, that is escaped, so that what was copied from a line finds
 * that line. The backslash is therefore an ordinary character in them; [*] stands for an asterisk.
 * --file matches the whole path or its last part.
 */
#include "analyzer/filter.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "analyzer/message.h"

#define THREADS ((size_t)MT_THREAD_UNKNOWN + 1)

/*
 * Options
 */

static const char *set_since(void *field, const char *argument)
{
	enum filter_since *since = field;
	if (strcmp(argument, "event") == 0)
		*since = FILTER_SINCE_EVENT;
	else if (strcmp(argument, "shown") == 0)
		*since = FILTER_SINCE_SHOWN;
	else
		return "not one of: event, shown";
	return NULL;
}

static bool find_kind(const char *name, size_t length, unsigned *bit_out)
{
	static const struct {
		const char *name;
		unsigned bit;
	} rows[] = {
		{ "call", 1U << MT_KIND_CALL },
		{ "return", 1U << MT_KIND_RETURN },
		{ "c_call", 1U << MT_KIND_C_CALL },
		{ "c_return", 1U << MT_KIND_C_RETURN },
		{ "c_except", 1U << MT_KIND_C_EXCEPTION },
		{ "line", 1U << MT_KIND_LINE },
		{ "except", 1U << MT_KIND_EXCEPTION },
		{ "msg", FILTER_KIND_MESSAGE },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strlen(rows[i].name) == length && strncasecmp(rows[i].name, name, length) == 0) {
			*bit_out = rows[i].bit;
			return true;
		}
	return false;
}

static const char *set_kinds(void *field, const char *argument)
{
	unsigned kinds = 0;
	for (const char *at = argument;; at++) {
		const size_t length = strcspn(at, ",");
		unsigned bit = 0;
		if (!find_kind(at, length, &bit))
			return "not a list of: call, return, c_call, c_return, c_except, msg";
		kinds |= bit;
		at += length;
		if (!*at)
			break;
	}
	*(unsigned *)field = kinds;
	return NULL;
}

#define OFFSET(field) offsetof(struct filter_options, field)

const struct option_spec filter_option_rows[] = {
	{ 0, "min-drss", "SIZE", set_size, OFFSET(min_drss),
	  "show events whose RSS step is SIZE or more, up or down (default: what the recording asked for; 0 shows all)",
	  NULL },
	{ 0, "min-growth", "SIZE", set_size, OFFSET(min_growth), "the same for steps up alone", NULL },
	{ 0, "min-release", "SIZE", set_size, OFFSET(min_release), "the same for steps down alone", NULL },
	{ 0, "drss-since", "WHAT", set_since, OFFSET(since),
	  "take the step from the previous event, or from the last one shown", "event shown" },
	{ 0, "function", "GLOB", set_string, OFFSET(function), "only functions of a matching name", NULL },
	{ 0, "file", "GLOB", set_string, OFFSET(file),
	  "only in files whose path, or the last part of it, matches", NULL },
	{ 0, "kind", "LIST", set_kinds, OFFSET(kinds),
	  "only these, separated by commas: call, return, c_call, c_return, c_except, line, except, msg",
	  "call return c_call c_return c_except line except msg" },
	{ 0, "thread", "N|NAME", set_string, OFFSET(thread), "only one thread, by number or name", NULL },
	{ 0, "from", "TIME|#N", set_string, OFFSET(from),
	  "from this time on, in the clock that is printed, or from event N on", NULL },
	{ 0, "to", "TIME|#N", set_string, OFFSET(to), "up to this time or event", NULL },
	{ 0, "types", NULL, set_flag, OFFSET(types),
	  "calls of types too; the one after event N is numbered N.1", NULL },
	{ 0, "lines", NULL, set_flag, OFFSET(lines),
	  "lines and exceptions of a line trace too, numbered like those", NULL },
	{ 0 },
};

struct bound {
	bool is_event;
	uint64_t event;
	struct timeline_point point;
};

static bool parse_bound(const char *text, enum timeline_clock clock, struct bound *bound_out)
{
	if (text[0] != '#')
		return timeline_parse(text, clock, &bound_out->point);
	bound_out->is_event = true;
	return !set_uint(&bound_out->event, text + 1);
}

bool filter_options_check(const struct filter_options *options, enum timeline_clock clock)
{
	const struct {
		const char *name, *text;
	} bounds[] = { { "--from", options->from }, { "--to", options->to } };
	for (size_t i = 0; i < 2; i++) {
		struct bound bound = { 0 };
		if (!bounds[i].text || parse_bound(bounds[i].text, clock, &bound))
			continue;
		message_error(EXIT_USAGE, NULL, "%s '%s': not %s, nor an event such as #100", bounds[i].name,
			      message_quote(bounds[i].text),
			      clock == TIMELINE_WALL ? "a date such as 2026-01-31T12:00:00" :
						       "a time in seconds");
		return false;
	}
	return true;
}

/*
 * One trace
 */

/* Smallest number of pages that is at least `bytes`. */
static uint64_t pages_of(uint64_t bytes, uint32_t page_size)
{
	return bytes / page_size + (bytes % page_size != 0);
}

static void set_thresholds(struct filter *filter, const struct filter_options *options,
			   const struct mt_header *header)
{
	const uint32_t page = header->page_size;
	if (!options->min_drss.given && !options->min_growth.given && !options->min_release.given) {
		filter->up_min = filter->down_min = pages_of(header->default_min_drss_bytes, page);
		return;
	}
	filter->up_min = filter->down_min = UINT64_MAX;
	if (options->min_drss.given)
		filter->up_min = filter->down_min = pages_of((uint64_t)options->min_drss.bytes, page);
	if (options->min_growth.given)
		filter->up_min = pages_of((uint64_t)options->min_growth.bytes, page);
	if (options->min_release.given)
		filter->down_min = pages_of((uint64_t)options->min_release.bytes, page);
}

static void set_bounds(struct filter *filter, const struct filter_options *options,
		       const struct timeline *timeline)
{
	filter->ticks_to = filter->event_to = UINT64_MAX;
	struct bound bound = { 0 };
	if (options->from && parse_bound(options->from, timeline->clock, &bound)) {
		if (bound.is_event)
			filter->event_from = bound.event;
		else
			filter->ticks_from = timeline_ticks(timeline, timeline_point_us(timeline, &bound.point));
	}
	bound = (struct bound){ 0 };
	if (options->to && parse_bound(options->to, timeline->clock, &bound)) {
		if (bound.is_event) {
			filter->event_to = bound.event;
			return;
		}
		/* All ticks before the first one that prints as the next microsecond. */
		const int64_t us = timeline_point_us(timeline, &bound.point);
		const uint64_t next = us < 0 || us == INT64_MAX ? 0 : timeline_ticks(timeline, us + 1);
		if (next)
			filter->ticks_to = next - 1;
		else
			filter->ticks_from = UINT64_MAX;        /* it ended before it began */
	}
}

static void add_thread(struct filter *filter, uint32_t index)
{
	filter->threads[index >> 3] |= (uint8_t)(1U << (index & 7));
	filter->thread_set |= (uint64_t)1 << (index < 63 ? index : 63);
}

static bool set_threads(struct filter *filter, const char *wanted)
{
	filter->thread_set = UINT64_MAX;
	filter->thread_found = true;
	if (!wanted)
		return true;
	filter->threads = calloc(THREADS / 8, 1);
	if (!filter->threads)
		return false;
	filter->thread_set = 0;
	filter->thread_found = false;
	uint64_t number = 0;
	const uint32_t count = mt_names_thread_count(filter->names);
	if (!set_uint(&number, wanted)) {
		if (number < THREADS)
			add_thread(filter, (uint32_t)number);
		filter->thread_found = number < count;
		return true;
	}
	for (uint32_t i = 0; i < count && i < THREADS; i++)
		if (strcmp(resolve_thread(filter->resolve, i), wanted) == 0) {
			add_thread(filter, i);
			filter->thread_found = true;
		}
	return true;
}

bool filter_init(struct filter *filter, const struct filter_options *options,
		 const struct mt_header *header, const struct mt_names *names, struct resolve *resolve,
		 const struct timeline *timeline)
{
	const unsigned line_kinds = 1U << MT_KIND_LINE | 1U << MT_KIND_EXCEPTION;
	const bool lines = options->lines || options->kinds & line_kinds;

	*filter = (struct filter){
		.resolve = resolve, .names = names, .types = options->types, .lines = lines,
		.unnumbered = options->types || lines,
		.kinds = options->kinds ? options->kinds : ~0U,
		.function = options->function, .file = options->file,
		.string_count = (size_t)mt_names_string_count(names) + 1,
	};
	filter->since = options->since;
	if (filter->since == FILTER_SINCE_HEADER)
		filter->since = header->drss_rule == MT_DRSS_SHOWN ? FILTER_SINCE_SHOWN : FILTER_SINCE_EVENT;
	set_thresholds(filter, options, header);
	set_bounds(filter, options, timeline);
	filter->any_site_rule = options->kinds || options->function || options->file;
	filter->any_record_rule = options->thread || options->from || options->to;
	if (!set_threads(filter, options->thread))
		return false;
	if (options->function && !(filter->function_match = calloc(filter->string_count, 1)))
		return false;
	return !options->file || (filter->file_match = calloc(filter->string_count, 1));
}

void filter_release(struct filter *filter)
{
	free(filter->function_match);
	free(filter->file_match);
	free(filter->threads);
}

static bool match(const char *glob, const char *text)
{
	return fnmatch(glob, text, FNM_NOESCAPE) == 0;
}

static bool match_function(struct filter *filter, const struct mt_event *event)
{
	const bool is_c = event->kind >= MT_KIND_C_CALL && event->kind <= MT_KIND_C_RETURN;
	const struct mt_code *code = is_c ? NULL : mt_names_code(filter->names, event->code);
	const struct mt_cfunc *cfunc = is_c ? mt_names_cfunc(filter->names, event->callee) : NULL;
	const uint32_t id = code ? code->name : cfunc ? cfunc->name : 0;
	const bool known = id && id < filter->string_count;     /* else it prints as "code#7" */
	if (known && filter->function_match[id])
		return filter->function_match[id] == 2;
	const bool matches = match(filter->function, resolve_function(filter->resolve, event));
	if (known)
		filter->function_match[id] = matches ? 2 : 1;
	return matches;
}

static bool match_file(struct filter *filter, const struct mt_event *event)
{
	const struct mt_code *code = mt_names_code(filter->names, event->code);
	if (!code)
		return match(filter->file, resolve_file(filter->resolve, event));
	const uint32_t id = code->filename;
	const bool known = id && id < filter->string_count;
	if (known && filter->file_match[id])
		return filter->file_match[id] == 2;
	const char *path = resolve_string(filter->resolve, id);
	const char *slash = strrchr(path, '/');
	const bool matches = match(filter->file, path) || (slash && match(filter->file, slash + 1));
	if (known)
		filter->file_match[id] = matches ? 2 : 1;
	return matches;
}

bool filter_site(struct filter *filter, unsigned kind, unsigned flags, uint32_t code, uint32_t callee)
{
	if (!(filter->kinds >> kind & 1))
		return false;
	const struct mt_event event = {
		.kind = (uint8_t)kind, .flags = (uint8_t)flags, .code = code, .callee = callee,
	};
	return (!filter->function || match_function(filter, &event)) &&
	       (!filter->file || match_file(filter, &event));
}

bool filter_zone(const struct filter *filter, const struct mt_zone *zone)
{
	bool kind = false;
	for (unsigned i = 0; i < MT_KIND_META; i++)
		kind |= zone->kinds[i] && (filter->kinds >> i & 1);
	if (!kind || !(zone->thread_set & filter->thread_set))
		return false;
	if (zone->clock_last < filter->ticks_from || zone->clock_first > filter->ticks_to)
		return false;
	/* A record without a number of its own counts as the event before, which may be in the block before. */
	const uint64_t first = zone->first_event - (filter->unnumbered && zone->first_event);
	const uint64_t last = zone->first_event + zone->n_default - !filter->unnumbered;
	if (first > filter->event_to)
		return false;
	/* LOST records inside make the last number higher than that. */
	return zone->kinds[MT_KIND_META] || last >= filter->event_from;
}
