/*
 * A file that takes the place of a trace, or comes to stand beside it: what archive and repair write.
 *
 * The trace goes away only by the rename() that puts the new file there, and that comes after this one
 * has been written, synced to the disk and, by whoever writes it, read back and compared. Every other way
 * out, a signal and a full disk included, leaves the trace as it was and nothing beside it.
 *
 *     struct replacement replacement;
 *     if (!replacement_check(&replacement, path, output))      has been told, as all below
 *             return;
 *     open the trace
 *     if (replacement_begin(&replacement) && write into replacement.fd &&
 *         replacement_sync(&replacement) && read replacement.part_path, compare)
 *             replacement_place(&replacement);
 *     replacement_release(&replacement);
 */
#ifndef REPLACEMENT_H
#define REPLACEMENT_H

#include <stdbool.h>
#include <sys/stat.h>

struct replacement {
	const char *path, *target;      /* borrowed; target: where it goes to, `path` if in place */
	bool in_place;
	struct stat before;             /* of `path` when it was opened */
	char *part_path;                /* the file as long as it has no name; NULL: none */
	int fd;                         /* open for writing; -1: none */
};

/* Are these `count` traces ones of which `verb` can make others, all in place or one as `output`? Told if not. */
bool replacement_operands(const char *verb, const char *output, int count, char **paths);

/*
 * The trace is at `path`; `output` is NULL (in its place) or the file to write, which must not exist.
 * A symbolic link is not replaced. False when a message has been printed and noted.
 */
bool replacement_check(struct replacement *replacement, const char *path, const char *output);

/* `path` is open now: remember what it is, and make an empty file, 0600, where the new one will be. */
bool replacement_begin(struct replacement *replacement);

/* The file is whole: give it owner, mode and times of the trace, and bring it to the disk. */
bool replacement_sync(const struct replacement *replacement);

/* Give it its name. In place only if nobody wrote to the trace, or put another there, meanwhile. */
bool replacement_place(struct replacement *replacement);

/* Removes the file unless it was placed. */
void replacement_release(struct replacement *replacement);

/* "'path': what: why", with the exit status of failed output. */
void replacement_tell(const char *path, const char *what, int error);

/* A name is on the disk when its directory is. */
void replacement_sync_directory(const char *path);

#endif
