/*
 * Several rows of bytes that come mixed and are wanted one after the other: kept in one temporary file, which has no
 * name and goes away with us. In memory each row has one piece of a few KiB.
 */
#ifndef SPOOL_H
#define SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/out.h"

#define SPOOL_ROWS_MAX  65536U

struct spool;

/* NULL without memory or a temporary file ($TMPDIR, else /tmp), which has been told. */
struct spool *spool_new(void);
void spool_free(struct spool *spool);                   /* NULL is fine */

/* Append to a row, < SPOOL_ROWS_MAX. After a failure, which is told once, a no-op. */
void spool_put(struct spool *spool, unsigned row, const void *bytes, size_t size);

bool spool_has(const struct spool *spool, unsigned row);

/* All of a row to `out`. False if it could not be kept or read back, told. */
bool spool_copy(struct spool *spool, unsigned row, struct out *out);

#endif
