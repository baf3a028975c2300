/*
 * Edit distance with neighbours swapped counting once, the commonest slip of all. Words are short
 * and lists too, so three rows of a small table are all that it takes.
 */
#include "analyzer/suggest.h"

#include <stddef.h>
#include <string.h>

enum { WORD_MAX = 32 };

void suggest_init(struct suggest *suggest, const char *typed)
{
	*suggest = (struct suggest){ .typed = typed };
}

static unsigned min(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static unsigned distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
	unsigned rows[3][WORD_MAX + 1];
	unsigned *before = rows[0], *last = rows[1], *row = rows[2];

	for (size_t j = 0; j <= b_size; j++)
		last[j] = (unsigned)j;
	for (size_t i = 1; i <= a_size; i++) {
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_size; j++) {
			row[j] = min(min(last[j], row[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = min(row[j], before[j - 2] + 1);
		}
		unsigned *const oldest = before;
		before = last;
		last = row;
		row = oldest;
	}
	return last[b_size];
}

void suggest_add(struct suggest *suggest, const char *word)
{
	const size_t typed_size = strlen(suggest->typed), word_size = strlen(word);
	unsigned far;

	if (!typed_size || typed_size > WORD_MAX || word_size > WORD_MAX)
		return;
	if (typed_size >= 3 && !strncmp(word, suggest->typed, typed_size))
		far = 1;        /* an ambiguous beginning is a near miss however much is missing */
	else
		far = distance(suggest->typed, typed_size, word, word_size);
	/* A third of the word may be wrong; beyond that it is a guess and not a help. */
	if (far > word_size / 3 + (word_size < 3) || (suggest->best && far >= suggest->distance))
		return;
	suggest->best = word;
	suggest->distance = far;
}
