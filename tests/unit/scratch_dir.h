/*
 * A directory for the files of one test, removed at exit with what is in it.
 */
#ifndef SCRATCH_DIR_H
#define SCRATCH_DIR_H

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char scratch_dir[64];
static pid_t scratch_owner;

static inline void scratch_remove(void)
{
	DIR *directory = getpid() == scratch_owner ? opendir(scratch_dir) : NULL;

	if (!directory)
		return;
	for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
		unlinkat(dirfd(directory), entry->d_name, 0);
	closedir(directory);
	rmdir(scratch_dir);
}

static inline void scratch_make(void)
{
	snprintf(scratch_dir, sizeof(scratch_dir), "scratch-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(scratch_dir));
	scratch_owner = getpid();
	atexit(scratch_remove);
}

/* The path of `name` in it; good until the fourth next call. */
static inline const char *scratch_path(const char *name)
{
	static char paths[4][256];
	static unsigned next;

	if (!scratch_dir[0])
		scratch_make();
	char *path = paths[next++ % 4];
	snprintf(path, sizeof(paths[0]), "%s/%s", scratch_dir, name);
	return path;
}

/* A file with this content; an open descriptor of it. */
static inline int scratch_file(const char *name, const char *content)
{
	const int fd = open(scratch_path(name), O_RDWR | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, content, strlen(content)), (int)strlen(content));
	return fd;
}

/* Figures of time and memory that an emulator's own needs disturb. */
static inline int scratch_emulated(void)
{
	const char *emulator = getenv("EMULATOR");

	return emulator && *emulator;
}

/* Under a sanitizer RSS is also that of its shadow memory, and reads of it are far apart. */
#if defined(__has_feature)
#define SCRATCH_FEATURE(name) __has_feature(name)
#else
#define SCRATCH_FEATURE(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
	SCRATCH_FEATURE(address_sanitizer) || SCRATCH_FEATURE(thread_sanitizer)
#define SCRATCH_SANITIZED 1
#else
#define SCRATCH_SANITIZED 0
#endif

#endif
