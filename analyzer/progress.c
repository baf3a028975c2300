/*
 * The progress line. What is on the screen is one variable; everything else follows from it.
 */
#include "analyzer/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS       1000000ULL
#define FIRST_NS        (1000 * NS_PER_MS)
#define STEP_NS         (100 * NS_PER_MS)

static struct {
	const char *label;      /* NULL: nothing is going on */
	bool silent;
	bool shown;             /* the line is on the screen */
	unsigned percent;       /* that it says */
	uint64_t next_ns;       /* not before */
} progress;

static uint64_t clock_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Standard error is where this is seen or not at all: nobody is to be told of a failure. */
static void put(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		progress.label = NULL;
}

void progress_begin_at(const char *label, bool terminal, uint64_t now_ns)
{
	progress_end();
	if (!terminal || progress.silent)
		return;
	progress.label = label;
	progress.next_ns = now_ns + FIRST_NS;
}

void progress_show_at(double share, uint64_t now_ns)
{
	if (!progress.label || now_ns < progress.next_ns)
		return;
	progress.next_ns = now_ns + STEP_NS;

	const double within = share > 0 ? share < 1 ? share : 1 : 0;      /* also if it is not a number */
	const unsigned percent = (unsigned)(within * 100);
	if (progress.shown && percent == progress.percent)
		return;
	char line[128];
	snprintf(line, sizeof(line), "\rmtdump: %s %u%%\033[K", progress.label, percent);
	progress.shown = true;
	progress.percent = percent;
	put(line);
}

void progress_begin(const char *label)
{
	const char *term = getenv("TERM");
	progress_begin_at(label, isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0,
			  clock_now_ns());
}

void progress_show(double share)
{
	if (progress.label)
		progress_show_at(share, clock_now_ns());
}

void progress_clear(void)
{
	if (progress.shown)
		put("\r\033[K");
	progress.shown = false;
}

void progress_end(void)
{
	progress_clear();
	progress.label = NULL;
}

void progress_silence(bool silent)
{
	if (silent)
		progress_end();
	progress.silent = silent;
}
