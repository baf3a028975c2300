/*
 * Numbers as text, by hand: a log of millions of lines is mostly digits, and printf() would be most of
 * its time.
 *
 * Each function writes at `to`, without a NUL, and returns the end of what it wrote. A number takes at
 * most DIGITS_MAX bytes, more only if `width` is more.
 */
#ifndef DIGITS_H
#define DIGITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGITS_MAX 21

/* How many digits `value` has. */
unsigned digits_count(uint64_t value);

char *digits_put(char *to, uint64_t value);

/* With zeros in front, exactly `count` digits (the lowest ones). */
char *digits_put_fixed(char *to, uint64_t value, unsigned count);

/* Right-aligned in `width` columns, with a minus sign if `negative`. */
char *digits_put_right(char *to, uint64_t value, bool negative, unsigned width);

/* Blanks from `to` up to `end`; nothing if it is there already. Returns the farther of the two. */
char *digits_pad(char *to, char *end);

#endif
