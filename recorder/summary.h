/*
 * What a finished trace says in one line: how much, and where RSS was highest.
 *
 * For the runner's last words. Reads the trace with the same reader as everyone else; called after the
 * recording, when memory no longer matters.
 */
#ifndef SUMMARY_H
#define SUMMARY_H

#include <stdbool.h>
#include <stdint.h>

struct summary {
	uint64_t events;                /* numbered ones, lost ones included */
	uint64_t records;               /* in the trace */
	uint64_t lost;
	uint64_t bytes;                 /* of the trace file */
	uint64_t peak_rss_bytes;        /* recorded figure */
	uint64_t peak_event;            /* number of the event that reached it first */
	char peak_function[256];        /* cut; raw bytes, not made safe to print; "" unknown */
	char peak_file[1024];
	int32_t peak_line;              /* -1 unknown */
};

/* false if the trace cannot be read. A tail is not looked at. */
bool summary_read(const char *path, struct summary *summary_out);

#endif
