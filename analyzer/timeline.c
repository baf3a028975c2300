/*
 * Times of records. A tick lasts num/den ns and a record's time is rounded down to ns (format.md §3), then
 * to the nearest microsecond, as printf's %.6f did in the log that we follow.
 *
 * The rate of a processor's counter was measured for some milliseconds when the recording began, so that after an
 * hour it may be off by many of them. Checkpoints tell by how much (format.md §8).
 */
#include "analyzer/timeline.h"

#include <stdlib.h>
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

/*
 * Drift
 */

#define ANCHORS_MAX     4096
#define SPAN_MIN_NS     UINT64_C(500000000)
/* The kernel itself may slew CLOCK_MONOTONIC by 500 ppm; a rate measured in 5 ms is as good at worst. */
#define RATE_PPM_MAX    1000
/* A thread that is taken off its CPU between reading two clocks comes back sooner than this. */
#define NOISE_NS        UINT64_C(100000000)

struct anchor {
	uint64_t nominal_ns;            /* of its ticks, as the header says */
	uint64_t monotonic_ns;
	bool even;                      /* the span to the one before is of a believable rate */
};

struct timeline_drift {
	uint32_t tick_num, tick_den;
	uint64_t span_min_ns;
	uint64_t start_ns;              /* CLOCK_MONOTONIC at tick 0, mod 2^64 */
	size_t count;
	struct anchor anchors[ANCHORS_MAX];
};

struct timeline_drift *timeline_drift_new(const struct mt_header *header)
{
	if (header->clock_id != MT_CLOCK_TSC)
		return NULL;
	struct timeline_drift *drift = calloc(1, sizeof(*drift));
	if (!drift)
		return NULL;
	drift->tick_num = header->tick_num;
	drift->tick_den = header->tick_den;
	drift->span_min_ns = SPAN_MIN_NS;
	return drift;
}

void timeline_drift_free(struct timeline_drift *drift)
{
	free(drift);
}

/* Every second one, so that memory is bounded and the recording still covered from end to end. */
static void thin_out(struct timeline_drift *drift)
{
	for (size_t i = 1; 2 * i < drift->count; i++) {
		const bool even = drift->anchors[2 * i].even && drift->anchors[2 * i - 1].even;
		drift->anchors[i] = drift->anchors[2 * i];
		drift->anchors[i].even = even;
	}
	drift->count = (drift->count + 1) / 2;
	drift->span_min_ns *= 2;
}

static uint64_t apart(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* `span` of nominal time, at the rate of the span between anchors i and i + 1. */
static uint64_t at_rate_of(const struct timeline_drift *drift, size_t i, uint64_t span)
{
	const struct anchor *a = &drift->anchors[i];
	if (i + 1 >= drift->count || !a[1].even)
		return span;
	return (uint64_t)((unsigned __int128)span * (a[1].monotonic_ns - a->monotonic_ns) /
			  (a[1].nominal_ns - a->nominal_ns));
}

void timeline_drift_add(struct timeline_drift *drift, uint64_t ticks, uint64_t monotonic_ns)
{
	if (!drift)
		return;
	struct anchor next = {
		.nominal_ns = scale(ticks, drift->tick_num, drift->tick_den), .monotonic_ns = monotonic_ns,
	};
	if (drift->count) {
		const struct anchor *last = &drift->anchors[drift->count - 1];
		if (next.nominal_ns <= last->nominal_ns || next.monotonic_ns <= last->monotonic_ns)
			return;
		const uint64_t nominal = next.nominal_ns - last->nominal_ns;
		const uint64_t real = next.monotonic_ns - last->monotonic_ns;
		next.even = apart(nominal, real) / RATE_PPM_MAX <= nominal / 1000000;
		/* Uneven by far: the machine slept, and one of the clocks did not. */
		if (!next.even && apart(nominal, real) < NOISE_NS)
			return;
		if (next.even && nominal < drift->span_min_ns)
			return;
	}
	if (drift->count == ANCHORS_MAX)
		thin_out(drift);
	drift->anchors[drift->count++] = next;
	const struct anchor *first = &drift->anchors[0];
	drift->start_ns = first->monotonic_ns - at_rate_of(drift, 0, first->nominal_ns);
}

/* Index of the last anchor at or before `nominal_ns`, which is not before the first. */
static size_t find_anchor(const struct timeline_drift *drift, uint64_t nominal_ns)
{
	size_t low = 0;
	size_t high = drift->count;
	while (high - low > 1) {
		const size_t middle = low + (high - low) / 2;
		if (drift->anchors[middle].nominal_ns <= nominal_ns)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* What `nominal_ns` since the start really were. */
static uint64_t corrected(const struct timeline_drift *drift, uint64_t nominal_ns)
{
	if (!drift || drift->count < 2)
		return nominal_ns;
	const struct anchor *anchors = drift->anchors;
	if (nominal_ns < anchors[0].nominal_ns)
		/* Backwards from the first anchor, and nothing is before the start. */
		return anchors[0].monotonic_ns - drift->start_ns -
		       at_rate_of(drift, 0, anchors[0].nominal_ns - nominal_ns);
	const size_t i = find_anchor(drift, nominal_ns);
	const uint64_t since = nominal_ns - anchors[i].nominal_ns;
	const uint64_t until = anchors[i].monotonic_ns - drift->start_ns;
	if (i + 1 == drift->count)
		return until + at_rate_of(drift, i - 1, since);
	return until + (uint64_t)((unsigned __int128)since *
				  (anchors[i + 1].monotonic_ns - anchors[i].monotonic_ns) /
				  (anchors[i + 1].nominal_ns - anchors[i].nominal_ns));
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

uint64_t timeline_ns(const struct timeline *timeline, uint64_t ticks)
{
	return corrected(timeline->drift, scale(ticks, timeline->tick_num, timeline->tick_den));
}

uint64_t timeline_us(const struct timeline *timeline, uint64_t ticks)
{
	return (timeline->base_ns + timeline_ns(timeline, ticks) + 500) / 1000;
}

/* The first of [low, high) whose time is `us` or later: time never falls while ticks rise. */
static uint64_t search_ticks(const struct timeline *timeline, uint64_t us, uint64_t low, uint64_t high)
{
	while (low < high) {
		const uint64_t middle = low + (high - low) / 2;
		if (timeline_us(timeline, middle) < us)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
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
	const uint64_t ticks = unscale(ns - timeline->base_ns, timeline->tick_num, timeline->tick_den);
	if (!timeline->drift || ticks == UINT64_MAX)
		return ticks;
	/* Clocks of records have 56 bits; what is so late that it has more is behind all of them. */
	const uint64_t end = UINT64_C(1) << 56;
	return ticks >= end ? UINT64_MAX : search_ticks(timeline, (uint64_t)us, 0, end);
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
