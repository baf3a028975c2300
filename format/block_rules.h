/*
 * What the sealer (seal.c) and the opener (block.c) of blocks must agree on: the columns, and how a
 * zone map counts. Private to the two.
 */
#ifndef MT_BLOCK_RULES_H
#define MT_BLOCK_RULES_H

#include "format/block.h"

enum {
	MT_COLUMN_RULES = 9,
	MT_CLOCK_BITS = 56,
};

/* One row of the table of columns in format.md §6.3. */
struct mt_column_rule {
	uint8_t id, enc, width_max;
	bool optional;
};

extern const struct mt_column_rule mt_column_rules[MT_COLUMN_RULES];

const struct mt_column_rule *mt_column_rule(uint8_t id);        /* NULL: not known */

/* Records by the low byte of their site, into kinds and n_default. */
void mt_zone_count_kinds(struct mt_zone *zone, const uint32_t kinds_flags[256]);

/* One step of the default sequence. */
static inline void mt_zone_add_step(struct mt_zone *zone, uint32_t rss_before, uint32_t rss)
{
	if (rss > rss_before) {
		const uint32_t up = rss - rss_before;
		zone->sum_up += up;
		if (up > zone->max_up)
			zone->max_up = up;
		zone->n_changed++;
	} else if (rss < rss_before) {
		const uint32_t down = rss_before - rss;
		zone->sum_down += down;
		if (down > zone->max_down)
			zone->max_down = down;
		zone->n_changed++;
	}
}

static inline uint64_t mt_zone_thread_bit(unsigned thread)
{
	return UINT64_C(1) << (thread < 63 ? thread : 63);
}

#endif
