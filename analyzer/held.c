/*
 * What callees hold, path by path; and for each thread and depth, which frame runs there.
 *
 * Most calls move nothing. They cost a look at two frames.
 */
#include "analyzer/held.h"

#include <stdlib.h>
#include <string.h>

#include "format/layout.h"

#define FIT     4               /* what differs by less than this part fits ... */
#define ABOUT   8               /* ... and by less than this, it is about the same */
#define THREADS ((size_t)MT_THREAD_UNKNOWN + 1)

/* What calls of a path retained; what the frame itself has, if it is the path that calls. */
struct holding {
	uint32_t node;
	int64_t bytes;                  /* > 0 */
	int64_t last;                   /* what was added last */
};

/* What the callees of a path hold; between its calls, too. */
struct callees {
	uint32_t node;                  /* the path */
	uint32_t count;
	struct holding holdings[HELD_MAX];      /* what retained last, last */
};

struct frame {
	uint32_t node;
	bool known;                     /* false: nothing has been told of it yet */
	int64_t net;                    /* of the thread when its last callee was gone */
};

struct held {
	void (*given_back)(void *context, uint32_t node, int64_t bytes);
	void *context;
	struct thread {
		struct frame *frames;   /* by depth of the callees, less 1 */
		uint32_t room;
	} *threads;
	uint32_t frame_count;
	struct callees *callees;
	uint32_t callees_count, callees_room;
	uint32_t *places;               /* by node: in callees, + 1 */
	uint32_t places_room;
};

struct held *held_new(void (*given_back)(void *context, uint32_t node, int64_t bytes), void *context)
{
	struct held *held = calloc(1, sizeof(*held));
	if (!held)
		return NULL;
	*held = (struct held){ .given_back = given_back, .context = context };
	held->threads = calloc(THREADS, sizeof(*held->threads));
	if (!held->threads) {
		free(held);
		return NULL;
	}
	return held;
}

void held_clear(struct held *held)
{
	for (size_t i = 0; i < THREADS && held->frame_count; i++) {
		free(held->threads[i].frames);
		held->frame_count -= held->threads[i].room;
		held->threads[i] = (struct thread){ 0 };
	}
	for (uint32_t i = 0; i < held->callees_count; i++)
		held->places[held->callees[i].node] = 0;
	held->callees_count = 0;
}

void held_free(struct held *held)
{
	if (!held)
		return;
	held_clear(held);
	free(held->threads);
	free(held->callees);
	free(held->places);
	free(held);
}

/* The frame whose callees are at `depth`, or NULL. */
static struct frame *find_frame(struct held *held, uint16_t index, uint32_t depth, bool make)
{
	struct thread *thread = &held->threads[index];
	if (depth <= thread->room)
		return &thread->frames[depth - 1];
	if (!make || depth > HELD_DEPTH)
		return NULL;
	uint32_t room = thread->room ? thread->room * 2 : 16;
	while (room < depth)
		room *= 2;
	if (held->frame_count + room - thread->room > HELD_FRAMES_MAX)
		return NULL;
	struct frame *frames = realloc(thread->frames, room * sizeof(*frames));
	if (!frames)
		return NULL;
	memset(frames + thread->room, 0, (room - thread->room) * sizeof(*frames));
	held->frame_count += room - thread->room;
	thread->frames = frames;
	thread->room = room;
	return &frames[depth - 1];
}

static struct callees *find_callees(const struct held *held, uint32_t node)
{
	const uint32_t place = node < held->places_room ? held->places[node] : 0;
	return place ? &held->callees[place - 1] : NULL;
}

static bool reserve_place(struct held *held, uint32_t node)
{
	if (node < held->places_room)
		return true;
	uint32_t room = held->places_room ? held->places_room : 256;
	while (room <= node)
		room *= 2;
	uint32_t *places = realloc(held->places, room * sizeof(*places));
	if (!places)
		return false;
	memset(places + held->places_room, 0, (room - held->places_room) * sizeof(*places));
	held->places = places;
	held->places_room = room;
	return true;
}

/* The same, made if need be. NULL if there is no room. */
static struct callees *make_callees(struct held *held, uint32_t node)
{
	struct callees *callees = find_callees(held, node);
	if (callees || held->callees_count == HELD_FRAMES_MAX || !reserve_place(held, node))
		return callees;
	if (held->callees_count == held->callees_room) {
		const uint32_t room = held->callees_room ? held->callees_room * 2 : 64;
		struct callees *more = realloc(held->callees, room * sizeof(*more));
		if (!more)
			return NULL;
		held->callees = more;
		held->callees_room = room;
	}
	callees = &held->callees[held->callees_count++];
	*callees = (struct callees){ .node = node };
	held->places[node] = held->callees_count;
	return callees;
}

static uint64_t distance(int64_t a, int64_t b)
{
	return a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a;
}

/*
 * Whose bytes are these? Whoever drops all of something gives back about as much as that was; and a cache that takes
 * one in and throws one out, as much as was added last. If nobody fits well, those of `node` itself, if it holds any.
 */
static uint32_t best_fit(const struct callees *callees, int64_t bytes, uint32_t node)
{
	uint32_t best = 0, own = UINT32_MAX;
	uint64_t best_misfit = UINT64_MAX;
	for (uint32_t i = 0; i < callees->count; i++) {
		const struct holding *holding = &callees->holdings[i];
		const uint64_t all = distance(holding->bytes, bytes);
		const uint64_t last = distance(holding->last, bytes);
		const uint64_t misfit = all < last ? all : last;
		if (holding->node == node)
			own = i;
		if (misfit < best_misfit) {
			best = i;
			best_misfit = misfit;
		}
	}
	return own != UINT32_MAX && best_misfit > (uint64_t)bytes / FIT ? own : best;
}

static void forget(struct callees *callees, uint32_t index)
{
	callees->count--;
	memmove(&callees->holdings[index], &callees->holdings[index + 1],
		(callees->count - index) * sizeof(callees->holdings[0]));
}

/*
 * `bytes` were released below `callees` (NULL: none hold anything), by `node` or by the path itself (TREE_NONE). Returns
 * those that nobody held; < 0 if it was more that was given back.
 */
static int64_t give_back(struct held *held, struct callees *callees, int64_t bytes, uint32_t node)
{
	while (callees && bytes > 0 && callees->count) {
		const uint32_t index = best_fit(callees, bytes, node);
		struct holding *holding = &callees->holdings[index];
		int64_t part = holding->bytes < bytes ? holding->bytes : bytes;
		/* All of it, and the releasing callee has retained the difference meanwhile. */
		if (node != TREE_NONE && holding->node != node && holding->bytes - bytes <= bytes / ABOUT)
			part = holding->bytes;
		/* What the frame itself holds has not been told as retained yet. */
		if (holding->node != callees->node)
			held->given_back(held->context, holding->node, part);
		holding->bytes -= part;
		bytes -= part;
		if (!holding->bytes)
			forget(callees, index);
	}
	return bytes;
}

static void hold(struct callees *callees, uint32_t node, int64_t bytes)
{
	if (!callees)
		return;
	struct holding holding = { .node = node };
	for (uint32_t i = 0; i < callees->count; i++) {
		if (callees->holdings[i].node == node) {
			holding = callees->holdings[i];
			forget(callees, i);
			break;
		}
	}
	if (callees->count == HELD_MAX)
		forget(callees, 0);
	holding.bytes += bytes;
	holding.last = bytes;
	callees->holdings[callees->count++] = holding;
}

/* The frame is left: its locals are gone, and what it holds itself is what it has retained. */
static void leave(struct held *held, struct frame *frame, uint32_t node, int64_t net)
{
	struct callees *callees = find_callees(held, node);
	if (frame->node == node && net < frame->net)
		give_back(held, callees, frame->net - net, TREE_NONE);
	for (uint32_t i = 0; callees && i < callees->count; i++) {
		if (callees->holdings[i].node == node) {
			forget(callees, i);
			break;
		}
	}
	frame->known = false;
}

/* What the caller has done by itself since its last callee was gone. */
static void note_own(struct held *held, struct frame *frame, const struct stacks_left *left)
{
	if (!frame->known || frame->node != left->caller)
		*frame = (struct frame){ .known = true, .node = left->caller, .net = left->caller_net };
	const int64_t net = left->net - left->retained;
	if (net < frame->net)
		give_back(held, find_callees(held, left->caller), frame->net - net, TREE_NONE);
	else if (net > frame->net)
		hold(make_callees(held, left->caller), left->caller, net - frame->net);
}

int64_t held_left(struct held *held, const struct stacks_left *left)
{
	const int64_t behind = left->behind > 0 ? left->behind : 0;
	const int64_t bytes = left->retained - behind;
	const int64_t net = left->net - behind;
	struct frame *frame = find_frame(held, left->thread, left->depth, true);
	struct frame *below = find_frame(held, left->thread, left->depth + 1, false);

	if (below && below->known)
		leave(held, below, left->node, net);
	if (!frame)
		return bytes;
	if (!bytes && frame->known && frame->node == left->caller && frame->net == left->net)
		return 0;
	note_own(held, frame, left);
	frame->net = net;
	if (bytes > 0)
		hold(make_callees(held, left->caller), left->node, bytes);
	if (bytes >= 0)
		return bytes;
	const int64_t rest = give_back(held, find_callees(held, left->caller), -bytes, left->node);
	if (rest < 0)
		hold(make_callees(held, left->caller), left->node, -rest);
	return -rest;
}
