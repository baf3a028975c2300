/*
 * Sizes and durations: integer arithmetic throughout, so that the text is the same in every locale
 * and on every machine.
 */
#include "analyzer/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Powers of 1024; the index is the exponent. */
static const char size_letters[] = "BKMGTPE";

/* The power of 1024 that `suffix` names, or -1: "" B K KB KiB M ... T, in either case. */
static int size_exponent(const char *suffix)
{
	static const char letters[] = "kmgt";

	if (!*suffix || !strcmp(suffix, "B") || !strcmp(suffix, "b"))
		return 0;
	const char *found = strchr(letters, *suffix | 0x20);
	if (!found)
		return -1;
	suffix++;
	if (*suffix == 'i' && (suffix[1] == 'B' || suffix[1] == 'b'))
		suffix++;
	if (*suffix == 'B' || *suffix == 'b')
		suffix++;
	return *suffix ? -1 : (int)(found - letters) + 1;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/*
 * A number: whole + numerator / denominator, a power of ten; digits behind the ninth are too small to matter. What follows
 * it, or NULL if it is none or does not fit.
 */
static const char *parse_number(const char *p, uint64_t *whole, uint64_t *numerator, uint64_t *denominator)
{
	*whole = *numerator = 0;
	*denominator = 1;
	if (!is_digit(*p))
		return NULL;
	for (; is_digit(*p); p++)
		if (__builtin_mul_overflow(*whole, 10, whole) ||
		    __builtin_add_overflow(*whole, (uint64_t)(*p - '0'), whole))
			return NULL;
	if (*p != '.')
		return p;
	if (!is_digit(*++p))
		return NULL;
	for (; is_digit(*p); p++) {
		if (*denominator == 1000000000)
			continue;
		*numerator = *numerator * 10 + (uint64_t)(*p - '0');
		*denominator *= 10;
	}
	return p;
}

bool units_parse_duration(const char *text, uint64_t *ns_out)
{
	static const struct {
		const char *suffix;
		uint64_t ns;
	} units[] = { { "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 } };
	uint64_t whole, numerator, denominator, ns;
	const char *suffix = parse_number(text, &whole, &numerator, &denominator);
	for (size_t i = 0; suffix && i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(suffix, units[i].suffix) != 0)
			continue;
		if (__builtin_mul_overflow(whole, units[i].ns, &ns) ||
		    __builtin_add_overflow(ns, numerator * units[i].ns / denominator, &ns))
			return false;
		*ns_out = ns;
		return true;
	}
	return false;
}

bool units_parse_size(const char *text, uint64_t *bytes_out)
{
	uint64_t whole, numerator, denominator;
	const char *p = parse_number(text, &whole, &numerator, &denominator);
	if (!p)
		return false;
	const int exponent = size_exponent(p);
	if (exponent < 0 || (exponent == 0 && numerator))
		return false;

	const unsigned shift = 10 * (unsigned)exponent;
	if (whole > UINT64_MAX >> shift)
		return false;
	/* numerator < 10^9 < 2^30 and shift <= 40: two steps, so that the product fits. */
	const uint64_t high = (numerator << 20) / denominator, low = (numerator << 20) % denominator;
	uint64_t fraction;
	if (shift <= 20)
		fraction = (numerator << shift) / denominator;
	else
		fraction = (high << (shift - 20)) + (low << (shift - 20)) / denominator;
	return !__builtin_add_overflow(whole << shift, fraction, bytes_out);
}

const char *units_format_size(int64_t bytes, char *room, size_t room_size)
{
	const char *sign = bytes < 0 ? "-" : "";
	const uint64_t size = bytes < 0 ? -(uint64_t)bytes : (uint64_t)bytes;

	if (size < 1024) {
		snprintf(room, room_size, "%s%" PRIu64 " B", sign, size);
		return room;
	}
	unsigned exponent = 1;
	while (exponent < 6 && size >> 10 * exponent >= 1024)
		exponent++;
	/* Tenths, rounded to the nearest; 1023.95 KiB and more is 1.0 MiB. */
	for (;; exponent++) {
		const uint64_t unit = (uint64_t)1 << 10 * exponent;
		const uint64_t rest = size % unit;
		/* rest * 10 would overflow only for E, where the lowest bits do not matter */
		const uint64_t tenths = size / unit * 10 +
			(exponent < 6 ? (rest * 10 + unit / 2) / unit
				      : ((rest >> 4) * 10 + (unit >> 5)) / (unit >> 4));
		if (tenths < 10240 || exponent == 6) {
			snprintf(room, room_size, "%s%" PRIu64 ".%" PRIu64 " %ciB", sign, tenths / 10,
				 tenths % 10, size_letters[exponent]);
			return room;
		}
	}
}

const char *units_format_duration(uint64_t time_ns, char *room, size_t room_size)
{
	const uint64_t us = 1000, ms = 1000 * us, s = 1000 * ms;

	if (time_ns < us) {
		snprintf(room, room_size, "%" PRIu64 " ns", time_ns);
	} else if (time_ns < ms) {
		snprintf(room, room_size, "%" PRIu64 " us", time_ns / us);
	} else if (time_ns < s) {
		snprintf(room, room_size, "%" PRIu64 " ms", time_ns / ms);
	} else if (time_ns < 60 * s) {
		const uint64_t tenths = time_ns / (s / 10);
		snprintf(room, room_size, "%" PRIu64 ".%" PRIu64 " s", tenths / 10, tenths % 10);
	} else if (time_ns < 3600 * s) {
		const uint64_t seconds = time_ns / s;
		snprintf(room, room_size, "%" PRIu64 " min %02" PRIu64 " s", seconds / 60, seconds % 60);
	} else {
		const uint64_t minutes = time_ns / (60 * s);
		snprintf(room, room_size, "%" PRIu64 " h %02" PRIu64 " min", minutes / 60, minutes % 60);
	}
	return room;
}
