/*
 * "did you mean": the word of a list that was most likely meant.
 */
#ifndef SUGGEST_H
#define SUGGEST_H

struct suggest {
	const char *typed;
	const char *best;       /* NULL: none is near */
	unsigned distance;      /* of best */
};

void suggest_init(struct suggest *suggest, const char *typed);

/* Look at one candidate, which is borrowed. */
void suggest_add(struct suggest *suggest, const char *word);

#endif
