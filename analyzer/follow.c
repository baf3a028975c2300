/*
 * A trace that grows, read once.
 *
 * `chain` is the place: how many records, and of them how many lost, are behind us. Records - lost is the number that
 * the next record has in the recorder's ring, for the blocks of the trace as well as for the tail, so what comes
 * twice (a block of which the tail gave the records already) is seen by its number and left out, in part if need be.
 *
 * The tail is read before the trace, as in stream.c: what moves from the one to the other meanwhile is met twice and
 * not missed. While the trace has more blocks than one update takes, the tail is not looked at.
 *
 * A file that somebody writes to may end in half a chunk. What is wrong with its last chunk is believed only when
 * another one stands behind it, or when the same is wrong for the third time.
 */
#include "analyzer/follow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "analyzer/functions.h"
#include "analyzer/resolve.h"
#include "analyzer/tail_file.h"
#include "format/reader.h"

#define NAMES_MEMORY_MAX        ((size_t)1 << 30)
#define TRIES                   3       /* at a last block that cannot be read */
#define NOWHERE                 UINT64_MAX

struct follow {
	char *path;
	struct follow_now now;
	dev_t device;                   /* of the file that was opened first ... */
	ino_t inode;
	uint8_t *header_data;           /* ... and its header, encoded, which `header` points into */
	struct mt_header header;
	bool opened;

	struct mt_names *names;
	struct functions *functions;
	struct tree *tree;
	struct stacks *stacks;
	struct resolve *resolve;
	struct timeline_drift *drift;

	uint64_t chunk;                 /* offset of the last chunk taken; NOWHERE before the first */
	uint64_t chunk_end;             /* where the one behind it starts */
	struct mt_chain chain;
	uint64_t defs_seen;             /* bytes of the tail's definitions */
	uint64_t lost_counted;          /* as the tail or a checkpoint counts them */
	bool gap;                       /* something is missing before the next record */
	bool caught_up;                 /* the trace had no more when it was looked at last */
	unsigned tries;

	struct mt_block block;
	void *sealer_memory;
	struct mt_sealer *sealer;

	/* One update. */
	struct mt_source *source;
	struct mt_reader *reader;
	uint64_t damages;               /* met since the last good chunk */
	unsigned blocks_left;
};

static void fail(struct follow *follow, enum mt_status status)
{
	follow->now.state = FOLLOW_FAILED;
	follow->now.status = status;
	follow->now.error = errno;
}

static void on_damage(void *context, const struct mt_damage *damage)
{
	struct follow *follow = context;
	(void)damage;
	follow->damages++;
}

/* Number in the ring of the next record. */
static uint64_t place_of(const struct mt_chain *chain)
{
	return chain->records - chain->lost;
}

/*
 * Records
 */

static void run(struct follow *follow, const struct mt_block *block, uint32_t first)
{
	if (first >= block->zone.n_events)
		return;
	if (!stacks_block(follow->stacks, block, first, follow->gap)) {
		fail(follow, MT_ERR_NO_MEMORY);
		return;
	}
	follow->gap = false;
	follow->now.any = true;
	follow->now.records += block->zone.n_events - first;
	follow->now.last_ticks = block->clock_ticks[block->zone.n_events - 1];
}

/* A block that is not to be had: its records are behind us all the same. */
static void skip_block(struct follow *follow, const struct mt_zone *zone)
{
	follow->now.damaged++;
	follow->gap = true;
	follow->chain = (struct mt_chain){
		.events = zone->first_event + zone->n_default, .records = zone->first_record + zone->n_events,
		.lost = zone->lost, .rss_prev = zone->rss_last,
	};
}

/* False if the block at the end of the file may not be whole yet. */
static bool take_block(struct follow *follow, const struct mt_chunk *chunk)
{
	const struct mt_zone *zone = &chunk->dir.zone;
	const uint64_t begin = zone->first_record - zone->lost;
	const uint64_t place = place_of(&follow->chain);
	const uint8_t *payload;
	if (begin + zone->n_events <= place)
		return true;
	follow->blocks_left--;
	follow->now.read_bytes += chunk->header.payload_size;
	enum mt_status status = mt_reader_payload(follow->reader, chunk, &payload);
	if (status == MT_OK)
		status = mt_block_open(&follow->block, &chunk->dir, payload, MT_BLOCK_ALL);
	if (status == MT_ERR_NO_MEMORY || status == MT_ERR_IO) {
		fail(follow, status);
		return true;
	}
	if (status != MT_OK) {
		const bool is_last = chunk->payload_offset + chunk->header.payload_size >= follow->source->size;
		if (is_last && ++follow->tries < TRIES)
			return false;
		skip_block(follow, zone);
		return true;
	}
	if (begin >= place && zone->first_record != follow->chain.records)
		follow->gap = true;
	run(follow, &follow->block, begin < place ? (uint32_t)(place - begin) : 0);
	mt_chain_after(&follow->chain, &follow->block);
	return true;
}

/* `count` records that come next, which a block is made of first, as everybody here reads those. */
static void take_records(struct follow *follow, const struct mt_record *records, size_t count)
{
	if (!follow->sealer) {
		follow->sealer_memory = malloc(mt_sealer_size(MT_BLOCK_RECORDS));
		if (follow->sealer_memory)
			follow->sealer = mt_sealer_init(follow->sealer_memory, MT_BLOCK_RECORDS, 1);
	}
	if (!follow->sealer) {
		fail(follow, MT_ERR_NO_MEMORY);
		return;
	}
	while (count && follow->now.state != FOLLOW_FAILED) {
		const size_t part = count < MT_BLOCK_RECORDS ? count : MT_BLOCK_RECORDS;
		struct mt_sealed sealed;
		struct mt_block_dir dir;
		enum mt_status status = mt_sealer_seal(follow->sealer, &follow->chain, records, part, NULL, part, &sealed);
		if (status == MT_OK) {
			struct mt_in in = mt_in_over(sealed.part, sealed.part_size);
			status = mt_block_dir_decode(&in, sealed.payload_size, &dir);
		}
		if (status == MT_OK)
			status = mt_block_open(&follow->block, &dir, sealed.payload, MT_BLOCK_ALL);
		if (status == MT_OK)
			run(follow, &follow->block, 0);
		else
			fail(follow, status);
		records += part;
		count -= part;
	}
}

/*
 * The tail
 */

/* Definitions that were not in the tail the last time. Those that are known from the trace are ignored. */
static void take_definitions(struct follow *follow, const struct mt_tail_image *image)
{
	uint64_t from = image->defs_first;
	if (follow->defs_seen > from && follow->defs_seen <= image->defs_committed)
		from = follow->defs_seen;
	if (image->items && from < image->defs_committed &&
	    mt_names_add(follow->names, image->items + (from - image->defs_first),
			 (size_t)(image->defs_committed - from)) != MT_OK)
		follow->now.damaged++;
	follow->defs_seen = image->defs_committed;
}

/* How many of them come before the first one whose clock steps back: the rest is not to be believed. */
static size_t count_sound(const struct follow *follow, const struct mt_record *records, size_t count)
{
	uint64_t clock = follow->now.last_ticks;
	for (size_t i = 0; i < count; i++) {
		if (records[i].w0 >> 8 < clock)
			return i;
		clock = records[i].w0 >> 8;
	}
	return count;
}

static void take_tail(struct follow *follow, const struct mt_tail_image *image)
{
	struct mt_tail_join join;
	if (memcmp(image->uuid, follow->header.uuid, MT_UUID_SIZE) != 0 ||
	    place_of(&follow->chain) > image->committed)
		return;
	if (mt_tail_join(&follow->header, &follow->chain, image, &join) != MT_OK)
		return;
	take_definitions(follow, image);
	if (join.overwritten) {
		follow->gap = true;
		follow->chain.events += join.overwritten;
		follow->chain.records += 2 * join.overwritten;
		follow->chain.lost += join.overwritten;
	}
	const size_t sound = count_sound(follow, join.records, join.count);
	if (sound)
		take_records(follow, join.records, sound);
	follow->lost_counted = follow->chain.lost + join.lost_untold;
}

/*
 * The trace
 */

static bool begin(struct follow *follow)
{
	const struct mt_header *header = mt_reader_header(follow->reader);
	/* It points into the reader, which does not stay. */
	const size_t size = header->tlvs_size;
	follow->header_data = malloc(size ? size : 1);
	if (!follow->header_data)
		return false;
	follow->header = *header;
	if (size)
		memcpy(follow->header_data, header->tlvs, size);
	follow->header.tlvs = size ? follow->header_data : NULL;
	follow->names = mt_names_new(NAMES_MEMORY_MAX);
	follow->functions = functions_new(FUNCTIONS_BY_LINE);
	follow->tree = tree_new(0);
	follow->drift = timeline_drift_new(&follow->header);
	if (!follow->names || !follow->functions || !follow->tree)
		return false;
	follow->resolve = resolve_new(follow->names, RESOLVE_BASE);
	follow->opened = true;
	return follow->resolve != NULL;
}

static void no_stretch(void *context, const struct stacks_stretch *stretch)
{
	(void)context;
	(void)stretch;
}

static bool begin_stacks(struct follow *follow)
{
	/* Without one nobody notes where the open calls stand. */
	const struct stacks_sink sink = { .stretch = no_stretch };
	follow->stacks = stacks_new(follow->tree, follow->functions, NULL, &sink);
	return follow->stacks && stacks_begin(follow->stacks, &follow->header, follow->names);
}

/* Open it for one update. False if it cannot be read now, or is not what it was: the state says so. */
static bool open_trace(struct follow *follow)
{
	const struct mt_reader_options options = { .damage = on_damage, .context = follow };
	struct stat st;
	struct follow_now *now = &follow->now;
	const bool is_there = stat(follow->path, &st) == 0;
	if (follow->opened && (!is_there || st.st_dev != follow->device || st.st_ino != follow->inode)) {
		now->state = is_there ? FOLLOW_REPLACED : FOLLOW_DELETED;
		return false;
	}
	now->status = mt_source_file(&follow->source, follow->path);
	if (now->status == MT_OK)
		now->status = mt_reader_new(&follow->reader, follow->source, &options);
	now->error = errno;
	if (follow->source)
		now->file_bytes = follow->source->size;
	if (follow->opened && (now->file_bytes < follow->chunk_end || now->status == MT_ERR_NOT_TRACE)) {
		now->state = FOLLOW_CUT;
		return false;
	}
	if (follow->opened && (now->status != MT_OK ||
			       memcmp(mt_reader_header(follow->reader)->uuid, follow->header.uuid, MT_UUID_SIZE) != 0)) {
		now->state = now->status == MT_OK ? FOLLOW_REPLACED : FOLLOW_FAILED;
		return false;
	}
	if (now->status != MT_OK)
		return false;
	if (!follow->opened) {
		follow->device = st.st_dev;
		follow->inode = st.st_ino;
		if (!is_there)
			return false;
		if (!begin(follow) || !begin_stacks(follow)) {
			fail(follow, MT_ERR_NO_MEMORY);
			return false;
		}
		now->state = FOLLOW_RECORDING;
	}
	return true;
}

static void take_end(struct follow *follow, const struct mt_chunk *chunk)
{
	struct mt_in in = mt_in_over(chunk->part, chunk->part_size);
	struct mt_end end;
	follow->now.state = FOLLOW_ENDED;
	if (mt_end_decode(&in, &end) != MT_OK)
		return;
	follow->now.end_reason = end.reason;
	follow->lost_counted = end.lost_total;
}

static void take_checkpoint(struct follow *follow, const struct mt_chunk *chunk)
{
	struct mt_in in = mt_in_over(chunk->part, chunk->part_size);
	struct mt_checkpoint checkpoint;
	if (mt_checkpoint_decode(&in, &checkpoint) != MT_OK)
		return;
	follow->lost_counted = checkpoint.lost_total;
	timeline_drift_add(follow->drift, checkpoint.clock_ticks, checkpoint.monotonic_ns);
}

/* False: not whole yet, to be met again. */
static bool take_chunk(struct follow *follow, const struct mt_chunk *chunk)
{
	switch (chunk->header.kind) {
	case MT_CHUNK_DEFS:
		follow->now.read_bytes += chunk->header.payload_size;
		/* Damage has been told to on_damage(); at a limit names are missing. */
		(void)mt_reader_defs(follow->reader, chunk, follow->names);
		break;
	case MT_CHUNK_EVENTS:
		if (!take_block(follow, chunk))
			return false;
		break;
	case MT_CHUNK_CHECKPOINT:
		take_checkpoint(follow, chunk);
		break;
	case MT_CHUNK_END:
		take_end(follow, chunk);
		break;
	default:
		break;
	}
	follow->now.damaged += follow->damages;
	follow->damages = 0;
	follow->tries = 0;
	follow->chunk = chunk->offset;
	follow->chunk_end = chunk->payload_offset + chunk->header.payload_size;
	return true;
}

/* The chunks behind the last one. True if there are more than one update takes. */
static bool take_chunks(struct follow *follow)
{
	struct mt_chunk chunk;
	follow->damages = 0;
	if (follow->chunk != NOWHERE) {
		/* It was good, and the walk goes on behind it. */
		const enum mt_status status = mt_reader_at(follow->reader, follow->chunk, &chunk);
		if (status != MT_OK && status != MT_ERR_TOO_NEW) {
			follow->now.state = FOLLOW_CUT;
			return false;
		}
	}
	while (follow->now.state == FOLLOW_RECORDING) {
		if (!follow->blocks_left)
			return true;
		const enum mt_status status = mt_reader_next(follow->reader, &chunk);
		if (status == MT_END)
			return false;
		if (status == MT_ERR_TOO_NEW) {
			follow->now.damaged++;
			if (chunk.header.kind == MT_CHUNK_EVENTS)
				continue;
			fail(follow, status);
		} else if (status != MT_OK) {
			fail(follow, status);
		} else if (!take_chunk(follow, &chunk)) {
			return false;
		}
	}
	return false;
}

static void close_trace(struct follow *follow)
{
	mt_reader_free(follow->reader);
	mt_source_close(follow->source);
	follow->reader = NULL;
	follow->source = NULL;
}

static void sum_up(struct follow *follow)
{
	struct follow_now *now = &follow->now;
	if (!follow->opened)
		return;
	now->events = follow->chain.events;
	now->lost = follow->lost_counted > follow->chain.lost ? follow->lost_counted : follow->chain.lost;
	now->rss_bytes = stacks_totals(follow->stacks)->rss_last;
	now->rss_peak_bytes = (int64_t)stacks_peak(follow->stacks)->rss_bytes;
}

void follow_update(struct follow *follow, unsigned blocks_max, bool *more_out)
{
	struct mt_tail_image image = { 0 };
	enum mt_status tail_status;
	*more_out = false;
	if (follow->now.state > FOLLOW_RECORDING)
		return;
	/* Asked before anything is read, so that all that its writer left is met. */
	const bool is_dead = follow->caught_up && !tail_file_is_live(follow->path);
	const bool has_tail = follow->caught_up && tail_file_read(follow->path, &image, &tail_status);
	follow->blocks_left = blocks_max ? blocks_max : 1;
	if (open_trace(follow)) {
		*more_out = take_chunks(follow);
		if (has_tail && !*more_out && follow->now.state == FOLLOW_RECORDING)
			take_tail(follow, &image);
		/* The first time that nothing more is there, the tail has not been looked at. */
		const bool was_caught_up = follow->caught_up;
		follow->caught_up = !*more_out;
		*more_out |= !was_caught_up && follow->now.state == FOLLOW_RECORDING;
		follow->now.caught_up |= !*more_out;
		if (is_dead && !*more_out && follow->now.state == FOLLOW_RECORDING) {
			follow->now.state = FOLLOW_DIED;
			follow->now.damaged += follow->damages;
		}
		sum_up(follow);
	}
	close_trace(follow);
	if (has_tail)
		mt_tail_image_release(&image);
}

struct follow *follow_new(const char *path)
{
	struct follow *follow = calloc(1, sizeof(*follow));
	if (!follow)
		return NULL;
	follow->path = strdup(path);
	follow->chunk = NOWHERE;
	mt_block_init(&follow->block);
	if (follow->path)
		return follow;
	follow_free(follow);
	return NULL;
}

void follow_free(struct follow *follow)
{
	if (!follow)
		return;
	close_trace(follow);
	mt_block_release(&follow->block);
	free(follow->sealer_memory);
	resolve_free(follow->resolve);
	stacks_free(follow->stacks);
	tree_free(follow->tree);
	functions_free(follow->functions);
	mt_names_free(follow->names);
	timeline_drift_free(follow->drift);
	free(follow->header_data);
	free(follow->path);
	free(follow);
}

const char *follow_path(const struct follow *follow)
{
	return follow->path;
}

const struct follow_now *follow_now(const struct follow *follow)
{
	return &follow->now;
}

const struct mt_header *follow_header(const struct follow *follow)
{
	return follow->opened ? &follow->header : NULL;
}

const struct mt_names *follow_names(const struct follow *follow)
{
	return follow->names;
}

struct functions *follow_functions(struct follow *follow)
{
	return follow->functions;
}

struct resolve *follow_resolve(struct follow *follow)
{
	return follow->resolve;
}

const struct stacks *follow_stacks(const struct follow *follow)
{
	return follow->stacks;
}

const struct tree *follow_tree(const struct follow *follow)
{
	return follow->tree;
}

void follow_timeline(const struct follow *follow, struct timeline *timeline, enum timeline_clock clock)
{
	timeline_init(timeline, &follow->header, clock);
	timeline->drift = follow->drift;
}

/*
 * Growers
 */

/* Into its place among the `count` largest. */
static size_t insert(struct follow_grower *rows, size_t count, size_t max, const struct follow_grower *row)
{
	size_t at = count;
	while (at && rows[at - 1].net < row->net)
		at--;
	if (at == max)
		return count;
	if (count == max)
		count--;
	memmove(rows + at + 1, rows + at, (count - at) * sizeof(*rows));
	rows[at] = *row;
	return count + 1;
}

size_t follow_growers(const struct follow *follow, struct follow_grower *rows, size_t max)
{
	const struct tree *tree = follow->tree;
	const uint32_t count = follow->functions ? functions_count(follow->functions) : 0;
	struct follow_grower *sums = calloc((size_t)count + 1, sizeof(*sums));
	size_t found = 0;
	if (!sums || !max || !tree) {
		free(sums);
		return 0;
	}
	for (uint32_t i = 0; i < tree->count; i++) {
		const struct tree_node *node = &tree->nodes[i];
		struct follow_grower *sum = &sums[node->function];
		sum->function = node->function;
		sum->grown += node->grown;
		sum->released += node->released;
		sum->calls += node->calls;
		if (node->grown - node->released > sum->node_net) {
			sum->node_net = node->grown - node->released;
			sum->node = i;
		}
	}
	for (uint32_t i = 0; i < count; i++) {
		sums[i].net = sums[i].grown - sums[i].released;
		if (sums[i].net > 0)
			found = insert(rows, found, max, &sums[i]);
	}
	free(sums);
	return found;
}
