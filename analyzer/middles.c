/*
 * Text by site, in an arena that is used anew for each block.
 */
#include "analyzer/middles.h"

#include <stdlib.h>
#include <string.h>

#define ARENA_MAX ((size_t)4 << 20)     /* made for one block, before it starts again */

void middles_release(struct middles *middles)
{
	free(middles->sites);
	free(middles->arena);
	*middles = (struct middles){ 0 };
}

void middles_block(struct middles *middles, size_t n_sites)
{
	middles->arena_used = 0;
	middles->count = 0;
	if (n_sites > middles->room) {
		struct middle *sites = realloc(middles->sites, n_sites * sizeof(*sites));
		if (!sites)
			return;
		middles->sites = sites;
		middles->room = n_sites;
	}
	middles->count = n_sites;
	if (n_sites)
		memset(middles->sites, 0, n_sites * sizeof(*middles->sites));
}

char *middles_reserve(struct middles *middles, size_t size)
{
	if (middles->arena_used > ARENA_MAX) {
		/* Very many sites or very long names: forget those made so far. */
		middles->arena_used = 0;
		memset(middles->sites, 0, middles->count * sizeof(*middles->sites));
	}
	if (middles->arena_room - middles->arena_used < size) {
		const size_t room = (middles->arena_used + size) * 2;
		char *arena = realloc(middles->arena, room);
		if (!arena)
			return NULL;
		middles->arena = arena;
		middles->arena_room = room;
	}
	return middles->arena + middles->arena_used;
}

const char *middles_commit(struct middles *middles, uint32_t site, size_t size)
{
	const size_t offset = middles->arena_used;
	middles->arena_used += size;
	if (site < middles->count)
		middles->sites[site] = (struct middle){ offset, size };
	return middles->arena + offset;
}
