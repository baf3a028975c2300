/*
 * Trace event JSON (the "JSON Array Format" in an object), which chrome://tracing, Perfetto and others open: calls as
 * pairs of "B" and "E", RSS as a counter "C". Times are in microseconds with three decimals.
 *
 * A thread's "tid" is its number in the trace and one more, as 0 is the idle thread's; the system's numbers may come again.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/export.h"
#include "analyzer/json.h"
#include "analyzer/message.h"

struct chrome {
	struct export_setup setup;
	bool any;
	bool named[(size_t)MT_THREAD_UNKNOWN + 1];      /* threads */
};

static void put_text(struct out *out, const char *text)
{
	json_text(out, text, strlen(text));
}

/* Up to the members that not all events have. */
static void begin_event(struct chrome *chrome, char phase, unsigned tid)
{
	out_printf(chrome->setup.out, "%s{\"ph\":\"%c\",\"pid\":%" PRIu32 ",\"tid\":%u", chrome->any ? ",\n" : "", phase,
		   chrome->setup.pid, tid);
	chrome->any = true;
}

static void put_time(struct chrome *chrome, uint64_t ns)
{
	out_string(chrome->setup.out, ",\"ts\":");
	out_milli(chrome->setup.out, (int64_t)ns);
}

static void put_name_of(struct chrome *chrome, const char *what, unsigned tid, const char *name)
{
	begin_event(chrome, 'M', tid);
	out_printf(chrome->setup.out, ",\"name\":\"%s\",\"args\":{\"name\":", what);
	put_text(chrome->setup.out, name);
	out_string(chrome->setup.out, "}}");
}

static void *chrome_begin(const struct export_setup *setup)
{
	struct chrome *chrome = calloc(1, sizeof(*chrome));
	if (!chrome) {
		message_trace_error(setup->path, UINT64_MAX, MT_ERR_NO_MEMORY, NULL);
		return NULL;
	}
	chrome->setup = *setup;
	out_string(setup->out, "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"writer\":\"" EXPORT_WRITER "\"},\n"
			       "\"traceEvents\":[\n");
	put_name_of(chrome, "process_name", 0, message_quote(setup->path));
	return chrome;
}

static void chrome_open(void *context, const struct slice *slice)
{
	struct chrome *chrome = context;
	struct out *out = chrome->setup.out;
	struct functions *functions = chrome->setup.functions;
	const unsigned tid = slice->thread + 1U;
	if (!chrome->named[slice->thread]) {
		chrome->named[slice->thread] = true;
		put_name_of(chrome, "thread_name", tid, resolve_thread(chrome->setup.resolve, slice->thread));
	}
	begin_event(chrome, 'B', tid);
	put_time(chrome, slice->ns);
	out_string(out, ",\"cat\":\"call\",\"name\":");
	put_text(out, functions_name(functions, slice->function));
	out_printf(out, ",\"args\":{\"rss\":%" PRId64, slice->rss_bytes);
	const char *file = functions_file(functions, slice->function);
	if (*file) {
		out_string(out, ",\"file\":");
		put_text(out, file);
		out_printf(out, ",\"line\":%" PRIu32, functions_get(functions, slice->function)->first_line);
	}
	out_string(out, "}}");
}

static void chrome_close(void *context, const struct slice *slice)
{
	struct chrome *chrome = context;
	begin_event(chrome, 'E', slice->thread + 1U);
	put_time(chrome, slice->ns);
	out_printf(chrome->setup.out, ",\"args\":{\"drss\":%" PRId64 "}}", slice->change_bytes);
}

static void chrome_rss(void *context, uint64_t ns, int64_t rss_bytes)
{
	struct chrome *chrome = context;
	begin_event(chrome, 'C', 0);
	put_time(chrome, ns);
	out_printf(chrome->setup.out, ",\"name\":\"RSS\",\"args\":{\"bytes\":%" PRId64 "}}", rss_bytes);
}

static bool chrome_end(void *context, const struct slices_totals *totals)
{
	struct chrome *chrome = context;
	(void)totals;
	out_string(chrome->setup.out, "\n]}\n");
	free(chrome);
	return true;
}

const struct export_format export_chrome = {
	.name = "chrome", .begin = chrome_begin, .end = chrome_end,
	.sink = { .open = chrome_open, .close = chrome_close, .rss = chrome_rss },
};
