/*
 * What the numbers of a trace's header are called, in text.
 */
#ifndef WORDS_H
#define WORDS_H

/* Static; a number that this version does not know is itself, until the next call. */
const char *words_clock(unsigned clock_id);
const char *words_hook(unsigned hook);
const char *words_rss_source(unsigned rss_source);
const char *words_parent(unsigned reason);      /* what made it another's child */

/* Words as one, for programs to compare: '_' where a space was. Until the next call. */
const char *words_identifier(const char *words);

#endif
