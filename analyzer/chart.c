/*
 * Charts of characters.
 */
#define _GNU_SOURCE     /* newlocale() */
#include "analyzer/chart.h"

#include <langinfo.h>
#include <locale.h>
#include <string.h>

#include "analyzer/table.h"

#define BRAILLE 0x2800U

bool chart_locale_is_utf8(void)
{
	/* Not setlocale(): nothing else here is to depend on it. */
	const locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
	if (!locale)
		return false;
	const bool yes = strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0;
	freelocale(locale);
	return yes;
}

struct scale {
	int64_t low, high;
	unsigned rows;                  /* dots from top to bottom */
};

static struct scale scale_of(const struct chart *chart)
{
	const size_t count = chart_points(chart->width, chart->ascii);
	struct scale scale = {
		.low = INT64_MAX, .high = INT64_MIN, .rows = chart->ascii ? chart->height : 4 * chart->height,
	};
	for (size_t i = 0; i < count; i++) {
		if (chart->columns[i].min < scale.low)
			scale.low = chart->columns[i].min;
		if (chart->columns[i].max > scale.high)
			scale.high = chart->columns[i].max;
	}
	return scale;
}

/* Row of dots of a value, 0 at the top. */
static unsigned row_of(const struct scale *scale, int64_t value)
{
	const unsigned __int128 range = (unsigned __int128)((__int128)scale->high - scale->low);
	if (!range)
		return scale->rows - 1;
	const unsigned __int128 above = (unsigned __int128)((__int128)value - scale->low);
	return scale->rows - 1 - (unsigned)((above * (scale->rows - 1) + range / 2) / range);
}

static bool is_set(const struct scale *scale, const struct curve_column *column, unsigned row)
{
	return row >= row_of(scale, column->max) && row <= row_of(scale, column->min);
}

static void put_braille(const struct chart *chart, const struct scale *scale, unsigned x, unsigned y,
			struct out *out)
{
	/* Bits of the dots of a cell, from the top: the left column, the right one. */
	static const unsigned bits[2][4] = { { 0x01, 0x02, 0x04, 0x40 }, { 0x08, 0x10, 0x20, 0x80 } };
	unsigned cell = BRAILLE;
	for (unsigned i = 0; i < 2; i++)
		for (unsigned j = 0; j < 4; j++)
			if (is_set(scale, &chart->columns[2 * x + i], 4 * y + j))
				cell |= bits[i][j];
	const char utf8[3] = {
		(char)(0xE0 | cell >> 12), (char)(0x80 | (cell >> 6 & 0x3F)), (char)(0x80 | (cell & 0x3F)),
	};
	if (cell == BRAILLE)
		out_string(out, " ");
	else
		out_write(out, utf8, sizeof(utf8));
}

static void put_label(const struct chart *chart, const struct scale *scale, unsigned y, struct out *out)
{
	char room[TABLE_SHORT];
	const unsigned last = chart->height - 1;
	if (y == 0 || y == last || (chart->height >= 5 && y == last / 2)) {
		const __int128 range = (__int128)scale->high - scale->low;
		const int64_t value = (int64_t)(scale->low + range * (last - y) / last);
		out_printf(out, "%*s ", (int)CHART_MARGIN - 2, table_short_bytes(value, room));
	} else {
		out_printf(out, "%*s", (int)CHART_MARGIN - 1, "");
	}
	out_string(out, chart->ascii ? "|" : "\xe2\x94\x82");
}

/* An arrow above the first of the highest columns, and the text on the side where there is room. */
static void put_peak(const struct chart *chart, const struct scale *scale, struct out *out)
{
	const char *arrow = chart->ascii ? "v" : "\xe2\x96\xbc";
	const unsigned size = (unsigned)strlen(chart->peak) + 1;
	unsigned x = 0;
	while (chart->columns[x].max != scale->high)
		x++;
	x /= chart->ascii ? 1 : 2;
	if (x + 1 + size > chart->width && x >= size)
		out_printf(out, "%*s%s %s\n", (int)(CHART_MARGIN + x - size), "", chart->peak, arrow);
	else
		out_printf(out, "%*s%s %s\n", (int)(CHART_MARGIN + x), "", arrow, chart->peak);
}

void chart_print(const struct chart *chart, struct out *out)
{
	const struct scale scale = scale_of(chart);
	if (chart->peak)
		put_peak(chart, &scale, out);
	for (unsigned y = 0; y < chart->height; y++) {
		put_label(chart, &scale, y, out);
		for (unsigned x = 0; x < chart->width; x++) {
			if (!chart->ascii)
				put_braille(chart, &scale, x, y, out);
			else
				out_string(out, is_set(&scale, &chart->columns[x], y) ? "*" : " ");
		}
		out_string(out, "\n");
	}
	out_printf(out, "%*s%s", (int)CHART_MARGIN - 1, "", chart->ascii ? "+" : "\xe2\x94\x94");
	for (unsigned x = 0; x < chart->width; x++)
		out_string(out, chart->ascii ? "-" : "\xe2\x94\x80");
	const int between = (int)chart->width - (int)strlen(chart->from) - (int)strlen(chart->to);
	out_printf(out, "\n%*s%s%*s%s\n", (int)CHART_MARGIN, "", chart->from, between > 0 ? between : 1, "", chart->to);
}
