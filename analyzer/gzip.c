/*
 * gzip onto a struct out, by zlib.
 */
#include "analyzer/gzip.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

#define WINDOW_GZIP     (15 + 16)       /* the largest window, in gzip's wrapper */
#define MEMORY_LEVEL    8

struct gzip {
	struct out *out;
	z_stream stream;
	unsigned char room[16384];
	bool failed;
};

struct gzip *gzip_new(struct out *out)
{
	struct gzip *gzip = calloc(1, sizeof(*gzip));
	if (!gzip)
		return NULL;
	gzip->out = out;
	if (deflateInit2(&gzip->stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_GZIP, MEMORY_LEVEL,
			 Z_DEFAULT_STRATEGY) == Z_OK)
		return gzip;
	free(gzip);
	return NULL;
}

/* Until all input is taken, or with Z_FINISH until the end is written. */
static void run(struct gzip *gzip, int flush)
{
	int status = Z_OK;
	while (!gzip->failed) {
		gzip->stream.next_out = gzip->room;
		gzip->stream.avail_out = sizeof(gzip->room);
		status = deflate(&gzip->stream, flush);
		gzip->failed = status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR;
		out_write(gzip->out, gzip->room, sizeof(gzip->room) - gzip->stream.avail_out);
		if (gzip->stream.avail_out || status == Z_STREAM_END)
			break;
	}
}

void gzip_write(struct gzip *gzip, const void *bytes, size_t size)
{
	const unsigned char *from = bytes;
	while (size && !gzip->failed) {
		const size_t part = size < UINT_MAX ? size : UINT_MAX;
		gzip->stream.next_in = (unsigned char *)(uintptr_t)from;        /* zlib does not write there */
		gzip->stream.avail_in = (unsigned)part;
		run(gzip, Z_NO_FLUSH);
		from += part;
		size -= part;
	}
}

bool gzip_close(struct gzip *gzip)
{
	if (!gzip)
		return false;
	run(gzip, Z_FINISH);
	const bool good = !gzip->failed;
	deflateEnd(&gzip->stream);
	free(gzip);
	return good;
}
