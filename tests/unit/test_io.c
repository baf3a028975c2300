/*
 * Sources and sinks: what they read, what they refuse, and what is left after a failed write.
 */
#define _GNU_SOURCE
#include "format/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/suite.h"

/*
 * System calls that are interrupted, do less than was asked for, or fail: linked with
 * -Wl,--wrap=pread -Wl,--wrap=pwritev -Wl,--wrap=ftruncate.
 */

static bool is_hindered;        /* every second call is interrupted, and none does more than 3 bytes */
static int fails_in, fails_with; /* that many writes from now one fails so; 0: none */
static bool truncate_fails;
static bool is_interrupted;     /* every call, for ever */
static unsigned turn;

ssize_t __real_pread(int fd, void *room, size_t size, off_t offset);
ssize_t __real_pwritev(int fd, const struct iovec *parts, int count, off_t offset);
int __real_ftruncate(int fd, off_t size);
ssize_t __wrap_pread(int fd, void *room, size_t size, off_t offset);
ssize_t __wrap_pwritev(int fd, const struct iovec *parts, int count, off_t offset);
int __wrap_ftruncate(int fd, off_t size);

ssize_t __wrap_pread(int fd, void *room, size_t size, off_t offset)
{
	if (is_interrupted || (is_hindered && turn++ % 2 == 0)) {
		errno = EINTR;
		return -1;
	}
	if (fails_in && !--fails_in) {
		errno = fails_with;
		return -1;
	}
	return __real_pread(fd, room, is_hindered && size > 3 ? 3 : size, offset);
}

ssize_t __wrap_pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
	if (is_interrupted || (is_hindered && turn++ % 2 == 0)) {
		errno = EINTR;
		return -1;
	}
	if (fails_in && !--fails_in) {
		errno = fails_with;
		return fails_with ? -1 : 0;
	}
	if (!is_hindered)
		return __real_pwritev(fd, parts, count, offset);
	const struct iovec part = { parts[0].iov_base, parts[0].iov_len > 3 ? 3 : parts[0].iov_len };
	return __real_pwritev(fd, &part, 1, offset);
}

int __wrap_ftruncate(int fd, off_t size)
{
	if (is_interrupted || (is_hindered && turn++ % 2 == 0)) {
		errno = EINTR;
		return -1;
	}
	if (truncate_fails) {
		errno = EIO;
		return -1;
	}
	return __real_ftruncate(fd, size);
}

static char directory[] = "/tmp/mtrace-test-io-XXXXXX";

static const char *path_of(const char *name)
{
	static char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static int new_file(const char *name, const void *data, size_t size)
{
	const int fd = open(path_of(name), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
	return fd;
}

static void make_directory(void)
{
	memcpy(directory + sizeof(directory) - 7, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void remove_directory(void)
{
	static const char *const names[] = { "trace", "fifo", "socket", "subdirectory" };
	for (size_t i = 0; i < (size_t)COUNT(names); i++)
		remove(path_of(names[i]));
	ck_assert_int_eq(rmdir(directory), 0);
}

/* Both kinds of source over the same bytes. */
static void check_reads(struct mt_source *source, const char *data, size_t size)
{
	char room[64];
	size_t got = 99;
	ck_assert_uint_eq(source->size, size);
	ck_assert_int_eq(source->read(source, 0, room, sizeof(room), &got), MT_OK);
	ck_assert_uint_eq(got, size);
	ck_assert_mem_eq(room, data, size);
	ck_assert_int_eq(source->read(source, 3, room, 4, &got), MT_OK);
	ck_assert_uint_eq(got, 4);
	ck_assert_mem_eq(room, data + 3, 4);
	ck_assert_int_eq(source->read(source, size, room, 4, &got), MT_OK);
	ck_assert_uint_eq(got, 0);
	ck_assert_int_eq(source->read(source, UINT64_MAX, room, 4, &got), MT_OK);
	ck_assert_uint_eq(got, 0);
	ck_assert_int_eq(source->read(source, 2, room, 0, &got), MT_OK);
	ck_assert_uint_eq(got, 0);
	ck_assert_int_eq(mt_source_read_exact(source, size - 2, room, 2), MT_OK);
	ck_assert_int_eq(mt_source_read_exact(source, size - 2, room, 3), MT_ERR_TRUNCATED);
	ck_assert_int_eq(mt_source_read_exact(source, UINT64_MAX - 1, room, 4), MT_ERR_TRUNCATED);
}

START_TEST(memory_gives_what_is_asked_for)
{
	struct mt_source *source;
	ck_assert_int_eq(mt_source_memory(&source, "0123456789", 10), MT_OK);
	check_reads(source, "0123456789", 10);
	mt_source_close(source);
	ck_assert_int_eq(mt_source_memory(&source, NULL, 0), MT_OK);
	ck_assert_int_eq(mt_source_read_exact(source, 0, NULL, 0), MT_OK);
	mt_source_close(source);
	mt_source_close(NULL);
}
END_TEST

START_TEST(file_gives_what_is_asked_for)
{
	struct mt_source *source;
	const int fd = new_file("trace", "0123456789", 10);
	ck_assert_int_eq(mt_source_file(&source, path_of("trace")), MT_OK);
	check_reads(source, "0123456789", 10);

	/* Later growth is not looked at; a file that shrinks gives less and no error. */
	ck_assert_int_eq(write(fd, "more", 4), 4);
	check_reads(source, "0123456789", 10);
	ck_assert_int_eq(ftruncate(fd, 4), 0);
	char room[16];
	size_t got;
	ck_assert_int_eq(source->read(source, 0, room, sizeof(room), &got), MT_OK);
	ck_assert_uint_eq(got, 4);
	ck_assert_int_eq(source->read(source, 8, room, sizeof(room), &got), MT_OK);
	ck_assert_uint_eq(got, 0);
	mt_source_close(source);
	close(fd);
}
END_TEST

static void check_refused(const char *path, int error)
{
	struct mt_source *source = NULL;
	errno = 0;
	ck_assert_int_eq(mt_source_file(&source, path), MT_ERR_IO);
	ck_assert_int_eq(errno, error);
	ck_assert_ptr_null(source);
}

START_TEST(what_is_no_regular_file_is_refused_without_waiting)
{
	ck_assert_int_eq(mkfifo(path_of("fifo"), 0600), 0);
	ck_assert_int_eq(mkdir(path_of("subdirectory"), 0700), 0);
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", path_of("socket"));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	alarm(10);
	check_refused(path_of("fifo"), ENXIO);
	check_refused(path_of("subdirectory"), EISDIR);
	check_refused(path_of("socket"), ENXIO);
	check_refused("/dev/zero", ENXIO);
	check_refused(path_of("missing"), ENOENT);
	alarm(0);
	close(fd);
}
END_TEST

/* What goes into a pipe is written by a child, so that more than a pipe holds goes through. */
static int pipe_of(size_t size, pid_t *child_out)
{
	int fds[2];
	ck_assert_int_eq(pipe(fds), 0);
	*child_out = fork();
	ck_assert_int_ge(*child_out, 0);
	if (*child_out == 0) {
		close(fds[0]);
		for (size_t i = 0; i < size; i++) {
			const char byte = (char)(i * 7);
			if (write(fds[1], &byte, 1) != 1)
				_exit(1);
		}
		_exit(0);
	}
	close(fds[1]);
	return fds[0];
}

START_TEST(pipe_is_spooled)
{
	struct mt_source *source;
	pid_t child;
	const size_t size = 70000;
	const int fd = pipe_of(size, &child);
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(mt_source_spool(&source, fd, size), MT_OK);
	ck_assert_uint_eq(source->size, size);
	uint8_t byte;
	for (size_t i = 0; i < size; i += 997) {
		ck_assert_int_eq(mt_source_read_exact(source, i, &byte, 1), MT_OK);
		ck_assert_uint_eq(byte, (uint8_t)(i * 7));
	}
	mt_source_close(source);
	close(fd);
}
END_TEST

START_TEST(spool_has_a_limit)
{
	struct mt_source *source = NULL;
	pid_t child;
	signal(SIGPIPE, SIG_DFL);
	const int fd = pipe_of(5000, &child);
	ck_assert_int_eq(mt_source_spool(&source, fd, 4999), MT_ERR_LIMIT);
	ck_assert_ptr_null(source);
	close(fd);
	ck_assert_int_eq(mt_source_spool(&source, -1, 1), MT_ERR_IO);
	ck_assert_int_eq(errno, EBADF);
}
END_TEST

START_TEST(spool_uses_the_directory_for_temporary_files)
{
	struct mt_source *source = NULL;
	pid_t child;
	const int fd = pipe_of(10, &child);
	setenv("TMPDIR", path_of("missing"), 1);
	ck_assert_int_eq(mt_source_spool(&source, fd, 100), MT_ERR_IO);
	ck_assert_int_eq(errno, ENOENT);
	setenv("TMPDIR", directory, 1);
	ck_assert_int_eq(mt_source_spool(&source, fd, 100), MT_OK);
	ck_assert_uint_eq(source->size, 10);
	mt_source_close(source);
	close(fd);
}
END_TEST

static enum mt_status append(struct mt_sink *sink, const char *a, const char *b, const char *c)
{
	struct iovec parts[] = {
		{ .iov_base = (void *)(uintptr_t)a, .iov_len = strlen(a) },
		{ .iov_base = (void *)(uintptr_t)b, .iov_len = strlen(b) },
		{ .iov_base = (void *)(uintptr_t)c, .iov_len = strlen(c) },
	};
	return sink->append(sink, parts, 3);
}

static void check_file(int fd, const char *text)
{
	char room[64];
	ck_assert_int_eq(pread(fd, room, sizeof(room), 0), (ssize_t)strlen(text));
	ck_assert_mem_eq(room, text, strlen(text));
}

START_TEST(sinks_append)
{
	struct mt_sink_memory memory;
	mt_sink_memory_init(&memory);
	ck_assert_int_eq(append(&memory.sink, "ab", "", "cde"), MT_OK);
	ck_assert_int_eq(append(&memory.sink, "", "f", ""), MT_OK);
	ck_assert_uint_eq(memory.sink.size, 6);
	ck_assert_mem_eq(memory.data, "abcdef", 6);
	mt_sink_memory_release(&memory);

	struct mt_sink_file file;
	const int fd = new_file("trace", "", 0);
	mt_sink_file_init(&file, fd, 0);
	ck_assert_int_eq(append(&file.sink, "ab", "", "cde"), MT_OK);
	lseek(fd, 1, SEEK_SET);         /* nobody else's position matters */
	ck_assert_int_eq(append(&file.sink, "", "f", ""), MT_OK);
	ck_assert_int_eq(append(&file.sink, "", "", ""), MT_OK);
	ck_assert_uint_eq(file.sink.size, 6);
	check_file(fd, "abcdef");

	/* A sink may begin behind what is there. */
	mt_sink_file_init(&file, fd, 4);
	ck_assert_int_eq(append(&file.sink, "", "", "EFG"), MT_OK);
	ck_assert_uint_eq(file.sink.size, 7);
	check_file(fd, "abcdEFG");
	close(fd);
}
END_TEST

START_TEST(more_parts_than_one_call_takes)
{
	enum { COUNT = 3000 };
	static struct iovec parts[COUNT];
	static char bytes[COUNT], back[COUNT];
	struct mt_sink_file file;
	const int fd = new_file("trace", "", 0);
	for (int i = 0; i < COUNT; i++) {
		bytes[i] = (char)i;
		parts[i] = (struct iovec){ .iov_base = &bytes[i], .iov_len = 1 };
	}
	mt_sink_file_init(&file, fd, 0);
	ck_assert_int_eq(file.sink.append(&file.sink, parts, COUNT), MT_OK);
	ck_assert_uint_eq(file.sink.size, COUNT);
	ck_assert_int_eq(pread(fd, back, COUNT, 0), COUNT);
	ck_assert_mem_eq(back, bytes, COUNT);
	close(fd);
}
END_TEST

START_TEST(failed_append_is_cut_back)
{
	struct mt_sink_file file;
	const int fd = new_file("trace", "", 0);
	mt_sink_file_init(&file, fd, 0);
	ck_assert_int_eq(append(&file.sink, "abcd", "", ""), MT_OK);

	/* The limit lets the first bytes of the append through: a short write, then an error. */
	signal(SIGXFSZ, SIG_IGN);
	struct rlimit before, limit;
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 7;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	const enum mt_status status = append(&file.sink, "ef", "ghij", "k");
	const int error = errno;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	ck_assert_int_eq(status, MT_ERR_IO);
	ck_assert_int_eq(error, EFBIG);
	ck_assert_uint_eq(file.sink.size, 4);
	ck_assert(!file.torn);
	check_file(fd, "abcd");

	ck_assert_int_eq(append(&file.sink, "ef", "ghij", "k"), MT_OK);
	check_file(fd, "abcdefghijk");
	close(fd);
}
END_TEST

START_TEST(full_disk_is_told_apart)
{
	struct mt_sink_file file;
	const int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;                 /* not every container has it */
	mt_sink_file_init(&file, fd, 0);
	ck_assert_int_eq(append(&file.sink, "ab", "c", ""), MT_ERR_NO_SPACE);
	ck_assert_int_eq(errno, ENOSPC);
	ck_assert_uint_eq(file.sink.size, 0);
	ck_assert(!file.torn);          /* nothing was written, so nothing was cut */
	close(fd);
	ck_assert_int_eq(append(&file.sink, "ab", "c", ""), MT_ERR_IO);
	ck_assert_int_eq(errno, EBADF);
	ck_assert(!file.torn);
}
END_TEST

START_TEST(torn_sink_takes_nothing_more)
{
	struct mt_sink_file file;
	const int fd = new_file("trace", "", 0);
	mt_sink_file_init(&file, fd, 0);
	file.torn = true;
	ck_assert_int_eq(append(&file.sink, "ab", "", ""), MT_ERR_IO);
	ck_assert_int_eq(errno, EIO);
	check_file(fd, "");
	close(fd);
}
END_TEST

START_TEST(interrupted_and_short_calls_are_continued)
{
	struct mt_sink_file file;
	struct mt_source *source;
	char room[16];
	const int fd = new_file("trace", "", 0);
	mt_sink_file_init(&file, fd, 0);
	is_hindered = true;
	ck_assert_int_eq(append(&file.sink, "abcdefg", "", "hi"), MT_OK);
	ck_assert_int_eq(append(&file.sink, "j", "klmnop", ""), MT_OK);
	ck_assert_uint_eq(file.sink.size, 16);
	ck_assert_int_eq(mt_source_file(&source, path_of("trace")), MT_OK);
	ck_assert_int_eq(mt_source_read_exact(source, 0, room, 16), MT_OK);
	is_hindered = false;
	ck_assert_mem_eq(room, "abcdefghijklmnop", 16);
	fails_in = 1;
	fails_with = EIO;
	ck_assert_int_eq(mt_source_read_exact(source, 0, room, 16), MT_ERR_IO);
	ck_assert_int_eq(errno, EIO);
	mt_source_close(source);
	close(fd);
}
END_TEST

START_TEST(what_is_interrupted_for_ever_ends)
{
	struct mt_sink_file file;
	struct mt_source *source;
	char room[16];
	const int fd = new_file("trace", "", 0);
	mt_sink_file_init(&file, fd, 0);
	ck_assert_int_eq(append(&file.sink, "abcdefg", "", "hi"), MT_OK);
	ck_assert_int_eq(mt_source_file(&source, path_of("trace")), MT_OK);
	is_interrupted = true;
	ck_assert_int_eq(append(&file.sink, "j", "klmnop", ""), MT_ERR_IO);
	ck_assert_int_eq(errno, EINTR);
	ck_assert_int_eq(mt_source_read_exact(source, 0, room, 9), MT_ERR_IO);
	ck_assert_int_eq(errno, EINTR);
	is_interrupted = false;
	check_file(fd, "abcdefghi");
	ck_assert_int_eq(append(&file.sink, "j", "klmnop", ""), MT_OK);
	check_file(fd, "abcdefghijklmnop");
	mt_source_close(source);
	close(fd);
}
END_TEST

/* Fails at each write in turn, some bytes having gone out before: nothing is left of the append. */
START_TEST(every_failing_write_is_cut_back)
{
	static const int errors[] = { ENOSPC, EDQUOT, EIO, EFBIG, 0 };
	const int error = errors[_i];
	struct mt_sink_file file;
	const int fd = new_file("trace", "", 0);
	mt_sink_file_init(&file, fd, 0);
	ck_assert_int_eq(append(&file.sink, "whole", "", ""), MT_OK);
	for (int nth = 1;; nth++) {
		turn = 0;
		is_hindered = true;
		fails_in = nth;
		fails_with = error;
		const enum mt_status status = append(&file.sink, "abcdefgh", "ijk", "lmnopqrstuvwxyz");
		const int seen = errno;
		const bool failed = !fails_in;
		fails_in = 0;
		is_hindered = false;
		if (!failed) {
			ck_assert_int_eq(status, MT_OK);
			break;
		}
		ck_assert_int_eq(status, error == ENOSPC || error == EDQUOT ? MT_ERR_NO_SPACE : MT_ERR_IO);
		ck_assert_int_eq(seen, error ? error : EIO);
		ck_assert_uint_eq(file.sink.size, 5);
		ck_assert(!file.torn);
		check_file(fd, "whole");
	}
	check_file(fd, "wholeabcdefghijklmnopqrstuvwxyz");
	close(fd);
}
END_TEST

START_TEST(what_cannot_be_cut_back_is_torn)
{
	struct mt_sink_file file;
	const int fd = new_file("trace", "", 0);
	mt_sink_file_init(&file, fd, 0);
	is_hindered = true;
	truncate_fails = true;
	fails_in = 2;
	fails_with = ENOSPC;
	ck_assert_int_eq(append(&file.sink, "abcdef", "", ""), MT_ERR_NO_SPACE);
	ck_assert_int_eq(errno, ENOSPC);        /* the first error, not that of cutting */
	is_hindered = truncate_fails = false;
	ck_assert(file.torn);
	ck_assert_uint_eq(file.sink.size, 0);
	ck_assert_int_eq(append(&file.sink, "abcdef", "", ""), MT_ERR_IO);
	check_file(fd, "abc");
	close(fd);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("io");
	tcase_add_checked_fixture(tcase, make_directory, remove_directory);
	tcase_add_test(tcase, memory_gives_what_is_asked_for);
	tcase_add_test(tcase, file_gives_what_is_asked_for);
	tcase_add_test(tcase, what_is_no_regular_file_is_refused_without_waiting);
	tcase_add_test(tcase, pipe_is_spooled);
	tcase_add_test(tcase, spool_has_a_limit);
	tcase_add_test(tcase, spool_uses_the_directory_for_temporary_files);
	tcase_add_test(tcase, sinks_append);
	tcase_add_test(tcase, more_parts_than_one_call_takes);
	tcase_add_test(tcase, failed_append_is_cut_back);
	tcase_add_test(tcase, full_disk_is_told_apart);
	tcase_add_test(tcase, interrupted_and_short_calls_are_continued);
	tcase_add_test(tcase, what_is_interrupted_for_ever_ends);
	tcase_add_loop_test(tcase, every_failing_write_is_cut_back, 0, 5);
	tcase_add_test(tcase, what_cannot_be_cut_back_is_torn);
	tcase_add_test(tcase, torn_sink_takes_nothing_more);
	return suite_run("io", tcase);
}
