/*
 * Numbers as text. Two digits a division, from a table.
 */
#include "analyzer/digits.h"

#include <string.h>

static const char pairs[] =
	"00010203040506070809101112131415161718192021222324252627282930313233343536373839"
	"40414243444546474849505152535455565758596061626364656667686970717273747576777879"
	"8081828384858687888990919293949596979899";

unsigned digits_count(uint64_t value)
{
	static const uint64_t powers[] = {
		0, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000,
		10000000000, 100000000000, 1000000000000, 10000000000000, 100000000000000,
		1000000000000000, 10000000000000000, 100000000000000000, 1000000000000000000,
		10000000000000000000U,
	};
	/* log10(2) is a little less than 1233 / 4096: the guess is right or one too low. */
	const unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1);
	const unsigned guess = bits * 1233 >> 12;
	return guess + (value >= powers[guess]);
}

char *digits_put_fixed(char *to, uint64_t value, unsigned count)
{
	char *at = to + count;
	for (; at - to >= 2; value /= 100) {
		at -= 2;
		memcpy(at, pairs + value % 100 * 2, 2);
	}
	if (at > to)
		*to = (char)('0' + value % 10);
	return to + count;
}

char *digits_put(char *to, uint64_t value)
{
	return digits_put_fixed(to, value, digits_count(value));
}

char *digits_pad(char *to, char *end)
{
	if (to >= end)
		return to;
	memset(to, ' ', (size_t)(end - to));
	return end;
}

char *digits_put_right(char *to, uint64_t value, bool negative, unsigned width)
{
	const unsigned count = digits_count(value);
	for (; width > count + negative; width--)
		*to++ = ' ';
	if (negative)
		*to++ = '-';
	return digits_put_fixed(to, value, count);
}
