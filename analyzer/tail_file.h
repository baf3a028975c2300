/*
 * TRACE.tail: the file beside a trace that has what the trace lacks (format.md §12), found and read, and
 * whether a program is still writing into it.
 */
#ifndef TAIL_FILE_H
#define TAIL_FILE_H

#include <stdbool.h>

#include "format/tail.h"

/* "TRACE.tail", malloc'ed for the caller to free. NULL without memory. */
char *tail_file_name(const char *trace);

/*
 * The tail beside the trace at `path`, if there is one, into *image, which mt_tail_image_release()
 * releases. False without; then *status_out is MT_OK if there is no such file, and otherwise it and
 * errno tell of one that cannot be used.
 */
bool tail_file_read(const char *path, struct mt_tail_image *image, enum mt_status *status_out);

/*
 * Is the trace at `path` still being recorded? A recorder holds a lock (flock) on the trace and on its
 * tail as long as it has the one open and the other mapped, in whatever container; where a file system
 * knows no locks, a tail that moves while we look at it tells. False also for files that cannot be opened.
 */
bool tail_file_is_live(const char *path);

#endif
