/*
 * Times of records. A tick lasts num/den ns and a record's time is rounded down to ns (format.md §3), then
 * to the nearest microsecond, as printf's %.6f did in the log that we follow.
 */
#include "analyzer/timeline.h"

#include <string.h>

#include "analyzer/digits.h"

/* floor(value * num / den) without 128-bit arithmetic; what overflows 2^64 ns (584 years) wraps. */
static uint64_t scale(uint64_t value, uint32_t num, uint32_t den)
{
	if (den == 1)
		return value * num;
	return value / den * num + value % den * num / den;
}

/* ceil(value * den / num), at most UINT64_MAX. */
static uint64_t unscale(uint64_t value, uint32_t num, uint32_t den)
{
	uint64_t whole = 0;
	const uint64_t part = (value % num * den + (num - 1)) / num;
	if (__builtin_mul_overflow(value / num, (uint64_t)den, &whole) ||
	    __builtin_add_overflow(whole, part, &whole))
		return UINT64_MAX;
	return whole;
}

void timeline_init(struct timeline *timeline, const struct mt_header *header, enum timeline_clock clock)
{
	*timeline = (struct timeline){
		.clock = clock, .tick_num = header->tick_num, .tick_den = header->tick_den,
	};
	if (clock == TIMELINE_PROCESS)
		timeline->base_ns = mt_header_tlv_u64(header, MT_TLV_PROCESS_START, 0);
	if (clock == TIMELINE_WALL)
		timeline->base_ns = header->start_wall_ns;

	struct mt_tlv_view view;
	if (mt_header_tlv(header, MT_TLV_UTC_OFFSET, &view) && view.size >= 4) {
		const int32_t offset = (int32_t)mt_load_u32(view.data);
		if (offset > -86400 && offset < 86400)
			timeline->utc_offset_s = offset;
	}
	const bool west = timeline->utc_offset_s < 0;
	const uint32_t minutes = (uint32_t)(west ? -timeline->utc_offset_s : timeline->utc_offset_s) / 60;
	char *at = timeline->zone;
	*at++ = west ? '-' : '+';
	at = digits_put_fixed(at, minutes / 60, 2);
	*at++ = ':';
	at = digits_put_fixed(at, minutes % 60, 2);
	*at = '\0';
}

uint64_t timeline_us(const struct timeline *timeline, uint64_t ticks)
{
	return (timeline->base_ns + scale(ticks, timeline->tick_num, timeline->tick_den) + 500) / 1000;
}

uint64_t timeline_ticks(const struct timeline *timeline, int64_t us)
{
	/* The smallest ns whose rounding gives us, then the smallest tick that reaches it. */
	if (us <= 0)
		return 0;
	uint64_t ns = 0;
	if (__builtin_mul_overflow((uint64_t)us, (uint64_t)1000, &ns))
		return UINT64_MAX;
	ns -= 500;
	if (ns <= timeline->base_ns)
		return 0;
	return unscale(ns - timeline->base_ns, timeline->tick_num, timeline->tick_den);
}

/* Days since 1970-01-01 of a date in the Gregorian calendar, and back; years count from March inside. */
static int64_t days_of_date(int64_t year, unsigned month, unsigned day)
{
	year -= month <= 2;
	const int64_t era = (year >= 0 ? year : year - 399) / 400;
	const int64_t year_of_era = year - era * 400;
	const int64_t day_of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static void date_of_days(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
	days += 719468;
	const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	const int64_t day_of_era = days - era * 146097;
	const int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
				     day_of_era / 146096) / 365;
	const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	const int64_t shifted = (5 * day_of_year + 2) / 153;
	*day = (unsigned)(day_of_year - (153 * shifted + 2) / 5 + 1);
	*month = (unsigned)(shifted < 10 ? shifted + 3 : shifted - 9);
	*year = year_of_era + era * 400 + (*month <= 2);
}

static char *put_date(const struct timeline *timeline, uint64_t us, char *to)
{
	const int64_t local = (int64_t)(us / 1000000) + timeline->utc_offset_s;
	const int64_t days = local >= 0 ? local / 86400 : -1;
	const uint64_t second = (uint64_t)(local - days * 86400);
	int64_t year = 0;
	unsigned month = 0;
	unsigned day = 0;
	date_of_days(days, &year, &month, &day);
	to = digits_put_right(to, (uint64_t)year, false, 4);
	*to++ = '-';
	to = digits_put_fixed(to, month, 2);
	*to++ = '-';
	to = digits_put_fixed(to, day, 2);
	*to++ = 'T';
	to = digits_put_fixed(to, second / 3600, 2);
	*to++ = ':';
	to = digits_put_fixed(to, second / 60 % 60, 2);
	*to++ = ':';
	to = digits_put_fixed(to, second % 60, 2);
	*to++ = '.';
	to = digits_put_fixed(to, us % 1000000, 6);
	memcpy(to, timeline->zone, 6);
	return to + 6;
}

char *timeline_put(const struct timeline *timeline, uint64_t ticks, char *to)
{
	const uint64_t us = timeline_us(timeline, ticks);
	if (timeline->clock == TIMELINE_WALL)
		return put_date(timeline, us, to);
	to = digits_put(to, us / 1000000);
	*to++ = '.';
	return digits_put_fixed(to, us % 1000000, 6);
}

unsigned timeline_width(enum timeline_clock clock)
{
	return clock == TIMELINE_WALL ? 32 : 12;
}

/*
 * What users type
 */

/* Exactly `count` digits at *at. */
static bool take_digits(const char **at, unsigned count, unsigned *value_out)
{
	unsigned value = 0;
	for (unsigned i = 0; i < count; i++) {
		const char c = (*at)[i];
		if (c < '0' || c > '9')
			return false;
		value = value * 10 + (unsigned)(c - '0');
	}
	*at += count;
	*value_out = value;
	return true;
}

static bool take(const char **at, char c)
{
	if (**at != c)
		return false;
	++*at;
	return true;
}

/* ".066718" as microseconds, rounded; nothing is 0. */
static bool take_fraction(const char **at, int64_t *us_out)
{
	*us_out = 0;
	if (!take(at, '.'))
		return true;
	int64_t unit = 100000;
	int64_t us = 0;
	bool up = false;
	const char *start = *at;
	for (; **at >= '0' && **at <= '9'; ++*at, unit /= 10) {
		us += (**at - '0') * unit;
		if (*at - start == 6)
			up = **at >= '5';
	}
	*us_out = us + up;
	return *at > start;
}

static bool parse_seconds(const char *at, int64_t *us_out)
{
	int64_t seconds = 0;
	const char *start = at;
	for (; *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(seconds, (int64_t)10, &seconds) ||
		    __builtin_add_overflow(seconds, (int64_t)(*at - '0'), &seconds))
			return false;
	const bool digits = at > start;
	int64_t us = 0;
	if (!digits && *at != '.')
		return false;
	if (*at == '.' && digits && !at[1])
		at++;
	else if (!take_fraction(&at, &us))
		return false;
	return !*at && !__builtin_mul_overflow(seconds, (int64_t)1000000, us_out) &&
	       !__builtin_add_overflow(*us_out, us, us_out);
}

/* 'Z', "+01:00", "+0100" or nothing. */
static bool take_zone(const char **at, bool *local_out, int64_t *seconds_out)
{
	*local_out = false;
	*seconds_out = 0;
	if (!**at) {
		*local_out = true;
		return true;
	}
	if (take(at, 'Z'))
		return true;
	const bool west = **at == '-';
	unsigned hours = 0;
	unsigned minutes = 0;
	if (!take(at, '-') && !take(at, '+'))
		return false;
	if (!take_digits(at, 2, &hours))
		return false;
	take(at, ':');
	if (!take_digits(at, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*seconds_out = (int64_t)(hours * 3600 + minutes * 60) * (west ? -1 : 1);
	return true;
}

static bool parse_date(const char *at, struct timeline_point *point)
{
	unsigned year = 0;
	unsigned month = 0;
	unsigned day = 0;
	unsigned hour = 0;
	unsigned minute = 0;
	unsigned second = 0;
	int64_t us = 0;
	if (!take_digits(&at, 4, &year) || !take(&at, '-') || !take_digits(&at, 2, &month) ||
	    !take(&at, '-') || !take_digits(&at, 2, &day))
		return false;
	if (take(&at, 'T') || take(&at, ' ')) {
		if (!take_digits(&at, 2, &hour) || !take(&at, ':') || !take_digits(&at, 2, &minute))
			return false;
		if (take(&at, ':') && (!take_digits(&at, 2, &second) || !take_fraction(&at, &us)))
			return false;
	}
	if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60)
		return false;
	bool local = false;
	int64_t zone = 0;
	if (!take_zone(&at, &local, &zone) || *at)
		return false;
	const int64_t seconds = days_of_date(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
	*point = (struct timeline_point){
		.us = (seconds - zone) * 1000000 + us, .is_local = local,
	};
	return true;
}

bool timeline_parse(const char *text, enum timeline_clock clock, struct timeline_point *point_out)
{
	if (clock == TIMELINE_WALL && parse_date(text, point_out))
		return true;
	int64_t us = 0;
	if (!parse_seconds(text, &us))
		return false;
	*point_out = (struct timeline_point){ .us = us };
	return true;
}

int64_t timeline_point_us(const struct timeline *timeline, const struct timeline_point *point)
{
	return point->is_local ? point->us - (int64_t)timeline->utc_offset_s * 1000000 : point->us;
}
