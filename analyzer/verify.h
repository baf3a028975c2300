/*
 * The rules of the format that reading does not need: what `mtdump verify` knows more than a reader.
 *
 * A verifier goes through a trace in file order and is told of everything that is met. It keeps what
 * the next thing has to agree with: what is defined, how many records and events there were, where
 * the clock and the RSS stand. Behind a hole it does not know that until the next block says it.
 * Damage that the reader finds itself (checksums, sizes) does not come here.
 */
#ifndef VERIFY_H
#define VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "format/reader.h"

/* How far the stream has come: what a block that follows must start with (format.md §6.2). */
struct verify_place {
	bool known;
	uint64_t ring;                  /* ring records so far */
	uint64_t event;                 /* number of the next event */
	uint64_t lost;                  /* told so far */
	uint64_t clock_ticks;
	uint32_t rss_prev;
};

struct verify {
	/* Called for each problem; `text` is valid during the call. */
	void (*problem)(void *context, uint64_t offset, const char *text);
	void *context;
	uint64_t problems;

	const struct mt_header *header;
	const struct mt_names *names;   /* what is defined; the caller adds, after verify_items() */
	bool names_whole;               /* no definition is missing, so ids can be judged */
	struct verify_place place;
};

/* `header` and `names` are borrowed. */
void verify_init(struct verify *verify, const struct mt_header *header, const struct mt_names *names);

/* Tell of a problem that the caller has found. */
void verify_problem(struct verify *verify, uint64_t offset, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

void verify_header(struct verify *verify);

/* Something is missing or could not be read; with `names` it may have been definitions. */
void verify_hole(struct verify *verify, bool names);

/*
 * The content of a DEFS chunk, before it is added to the names. `joined`: it is from a tail, which
 * repeats what its trace has.
 */
void verify_items(struct verify *verify, uint64_t offset, const uint8_t *items, size_t size, bool joined);

/* A block, opened with all parts. False without memory: then it is not judged. */
bool verify_block(struct verify *verify, const struct mt_chunk *chunk, const struct mt_block *block);

void verify_checkpoint(struct verify *verify, uint64_t offset, const struct mt_checkpoint *checkpoint);
void verify_end(struct verify *verify, const struct mt_chunk *chunk, const struct mt_end *end);

/* Records of a tail that follow the last block. */
void verify_tail_records(struct verify *verify, const struct mt_record *records, size_t count);

#endif
