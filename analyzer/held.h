/*
 * What the callees of a path have retained and not given back: so that a value which is returned, used and
 * dropped is not taken for a leak (docs/attribution.md, section 6).
 *
 * For each path there are, for up to HELD_MAX of the paths that it calls, the bytes that their calls retained; and, while it
 * runs, those that its frame grew by itself. When the frame or another of its callees releases something, it is taken off
 * the one that it fits best.
 *
 *     for each call that is over
 *             bytes = held_left(held, left);
 */
#ifndef HELD_H
#define HELD_H

#include "analyzer/stacks.h"

#define HELD_MAX        8U      /* callees of a path, those that retained last */
#define HELD_DEPTH      512U    /* deeper frames are not looked after */
#define HELD_FRAMES_MAX 65536U  /* of all threads, and as many paths: 16 MiB */

struct held;

/* `given_back` is told that `bytes` of what calls of a path retained, they have no longer. NULL without memory. */
struct held *held_new(void (*given_back)(void *context, uint32_t node, int64_t bytes), void *context);
void held_free(struct held *held);                      /* NULL is fine */
void held_clear(struct held *held);                     /* another process is next */

/*
 * What the call retained, < 0 if it released more: without what its caller grew by in the stretch behind it, and
 * without what was taken off others. Memory that cannot be had makes frames be not looked after.
 */
int64_t held_left(struct held *held, const struct stacks_left *left);

#endif
