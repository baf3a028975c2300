/*
 * What a function writes to a standard descriptor, for tests of what people get to see.
 *
 *     struct capture capture;
 *     capture_begin(&capture, STDERR_FILENO);
 *     message_note(NULL, "hello");
 *     ck_assert_str_eq(capture_end(&capture), "mtdump: hello\n");
 */
#ifndef CAPTURE_H
#define CAPTURE_H

#include <check.h>
#include <stdio.h>
#include <unistd.h>

struct capture {
	int fd, saved;
	FILE *file;
	char text[65536];
};

static inline void capture_begin(struct capture *capture, int fd)
{
	fflush(NULL);
	capture->fd = fd;
	capture->saved = dup(fd);
	capture->file = tmpfile();
	ck_assert_ptr_nonnull(capture->file);
	dup2(fileno(capture->file), fd);
}

/* The text so far, cut at the room that there is; the descriptor is as it was. */
static inline const char *capture_end(struct capture *capture)
{
	fflush(NULL);
	dup2(capture->saved, capture->fd);
	close(capture->saved);
	rewind(capture->file);
	const size_t size = fread(capture->text, 1, sizeof(capture->text) - 1, capture->file);
	capture->text[size] = '\0';
	fclose(capture->file);
	return capture->text;
}

#endif
