#include "analyzer/words.h"

#include <stdio.h>

static const char *word(const char *const *words, size_t count, unsigned number)
{
	static char unknown[16];

	if (number < count && words[number])
		return words[number];
	snprintf(unknown, sizeof(unknown), "%u", number);
	return unknown;
}
#define WORD(words, number) word((words), sizeof(words) / sizeof((words)[0]), (number))

const char *words_clock(unsigned clock_id)
{
	static const char *const words[] = { "other", "monotonic", "tsc", "process cpu time", "boottime" };
	return WORD(words, clock_id);
}

const char *words_hook(unsigned hook)
{
	static const char *const words[] = { "other", "PyEval_SetProfile", "PyEval_SetTrace", "sys.monitoring" };
	return WORD(words, hook);
}

const char *words_rss_source(unsigned rss_source)
{
	static const char *const words[] = { "other", "statm", "statm gap", "statm gap and faults", "map" };
	return WORD(words, rss_source);
}

const char *words_parent(unsigned reason)
{
	static const char *const words[] = { NULL, "forked", "nested" };
	return WORD(words, reason);
}

const char *words_identifier(const char *words)
{
	static char room[32];
	size_t i = 0;

	for (; words[i] && i < sizeof(room) - 1; i++)
		room[i] = words[i] == ' ' ? '_' : words[i];
	room[i] = '\0';
	return room;
}
