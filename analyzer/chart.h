/*
 * A curve drawn with characters: in braille patterns, two by four dots each, or in ASCII, one point each.
 *
 *                            v peak 33.4M
 *      33.4M |                **
 *      22.1M |      **********
 *      11.2M |******
 *            +------------------
 *             0.118s      2.738s
 *
 * Between the lowest and the highest value of a column everything is drawn, so that no peak is too short to be seen.
 */
#ifndef CHART_H
#define CHART_H

#include <stdbool.h>
#include <stddef.h>

#include "analyzer/curve.h"
#include "analyzer/out.h"

struct chart {
	const struct curve_column *columns;     /* chart_points() of them */
	unsigned width, height;                 /* characters, without the axes; height at least 2 */
	bool ascii;
	const char *from, *to;                  /* below the axis, left and right */
	const char *peak;                       /* above its highest point; NULL: nothing there */
};

/* How many columns of a curve a chart of that width shows. */
static inline size_t chart_points(unsigned width, bool ascii)
{
	return ascii ? width : 2 * (size_t)width;
}

#define CHART_MARGIN 11U                /* columns left of the chart: labels and axis */

void chart_print(const struct chart *chart, struct out *out);

/* Does the locale of the environment want UTF-8? */
bool chart_locale_is_utf8(void);

#endif
