/*
 * The middles of lines: text that depends on the site of an event alone, made once for each site and block.
 *
 * A block has few sites for its many records, so a renderer formats names once and copies them after that.
 *
 *     middles_block(middles, n_sites);                        a new block: forget the old
 *     text = middles_get(middles, site, &size);
 *     if (!text) {
 *             char *room = middles_reserve(middles, size_at_most);
 *             ...
 *             text = middles_commit(middles, site, size);
 *     }
 */
#ifndef MIDDLES_H
#define MIDDLES_H

#include <stddef.h>
#include <stdint.h>

struct middles {
	struct middle {
		size_t offset, size;            /* size 0: not made */
	} *sites;
	size_t count, room;
	char *arena;
	size_t arena_used, arena_room;
};

void middles_release(struct middles *middles);          /* begin with all 0 */

/* Without memory every middle is made anew for each line. */
void middles_block(struct middles *middles, size_t n_sites);

/* NULL: not made yet. Valid until the next middles_reserve(). */
static inline const char *middles_get(const struct middles *middles, uint32_t site, size_t *size_out)
{
	if (site >= middles->count || !middles->sites[site].size)
		return NULL;
	*size_out = middles->sites[site].size;
	return middles->arena + middles->sites[site].offset;
}

/* Room for a new middle; NULL without memory. */
char *middles_reserve(struct middles *middles, size_t size);

/* `size` bytes of the room are the middle of `site`, which may be none of the block's. */
const char *middles_commit(struct middles *middles, uint32_t site, size_t size);

#endif
