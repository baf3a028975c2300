/*
 * Bytes through gzip onto a struct out. The same bytes give the same file: no name and no time go in.
 */
#ifndef GZIP_H
#define GZIP_H

#include <stdbool.h>
#include <stddef.h>

#include "analyzer/out.h"

struct gzip;

struct gzip *gzip_new(struct out *out);                 /* borrows `out`. NULL without memory */
void gzip_write(struct gzip *gzip, const void *bytes, size_t size);
bool gzip_close(struct gzip *gzip);                     /* write the rest and free. NULL is fine and false */

#endif
