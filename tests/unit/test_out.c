/*
 * analyzer/out.c: that output arrives whole, or that it is said that it did not.
 */
#define _GNU_SOURCE
#include "analyzer/out.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "analyzer/message.h"
#include "format/layout.h"
#include "tests/unit/capture.h"
#include "tests/unit/suite.h"

static char directory[] = "test_out.XXXXXX";

static void enter_directory(void)
{
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(chdir(directory), 0);
	signal(SIGPIPE, SIG_IGN);
	unsetenv("NO_COLOR");
	unsetenv("PAGER");
	setenv("TERM", "xterm", 1);
	setenv("MTDUMP_PAGER", "cat", 1);
}

static void leave_directory(void)
{
	ck_assert_int_eq(chdir(".."), 0);
	char command[64];
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	ck_assert_int_eq(system(command), 0);
	memcpy(directory, "test_out.XXXXXX", sizeof(directory));
}

static void write_file(const char *path, const void *data, size_t size)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
	close(fd);
}

static const char *read_file(const char *path)
{
	static char text[65536];
	const int fd = open(path, O_RDONLY);
	if (fd < 0)
		return NULL;
	const ssize_t size = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[size < 0 ? 0 : size] = '\0';
	return text;
}

/* How many files there are, so that nothing unfinished is left behind. */
static int count_files(void)
{
	FILE *list = popen("ls -A | wc -l", "r");
	int count = -1;
	ck_assert_int_eq(fscanf(list, "%d", &count), 1);
	pclose(list);
	return count;
}

static struct out *open_path(const char *path, bool force)
{
	const struct out_options options = { .path = path, .force = force };
	return out_open(&options);
}

START_TEST(text_of_any_length_arrives)
{
	enum { SIZE = 1 << 20 };
	char *const text = malloc(SIZE + 1);
	for (int i = 0; i < SIZE; i++)
		text[i] = (char)('a' + i % 26);
	text[SIZE] = '\0';

	struct out *out = open_path("file", false);
	ck_assert_ptr_nonnull(out);
	out_string(out, "start\n");
	out_write(out, text, SIZE);
	out_printf(out, "%s%d", text, 42);      /* longer than a reservation */
	for (int i = 0; i < 1000; i++) {
		char *room = out_reserve(out, OUT_RESERVE_MAX);
		memset(room, '.', 1000);
		out_commit(out, 999);
	}
	ck_assert(!out_failed(out));
	ck_assert(out_close(out));

	struct stat st;
	ck_assert_int_eq(stat("file", &st), 0);
	ck_assert_int_eq(st.st_size, 6 + SIZE + SIZE + 2 + 999000);
	FILE *file = fopen("file", "r");
	char *const back = malloc(SIZE);
	ck_assert_int_eq(fseek(file, 6 + SIZE, SEEK_SET), 0);
	ck_assert_uint_eq(fread(back, 1, SIZE, file), SIZE);
	ck_assert_int_eq(memcmp(back, text, SIZE), 0);
	ck_assert_int_eq(fgetc(file), '4');
	fclose(file);
	free(back);
	free(text);
	ck_assert_int_eq(count_files(), 1);
}
END_TEST

START_TEST(a_file_appears_when_it_is_whole)
{
	const mode_t mask = umask(027);
	struct out *out = open_path("file", false);
	out_string(out, "text");
	ck_assert_ptr_null(read_file("file"));
	ck_assert(out_close(out));
	umask(mask);
	ck_assert_str_eq(read_file("file"), "text");
	struct stat st;
	stat("file", &st);
	ck_assert_int_eq(st.st_mode & 0777, 0640);
	ck_assert_int_eq(count_files(), 1);
}
END_TEST

START_TEST(an_abandoned_file_leaves_nothing)
{
	struct out *out = open_path("file", false);
	out_string(out, "text");
	out_abandon(out);
	ck_assert_int_eq(count_files(), 0);
	out_abandon(NULL);
	ck_assert(out_close(NULL));
}
END_TEST

START_TEST(an_existing_file_needs_force)
{
	struct capture capture;
	write_file("file", "old", 3);
	capture_begin(&capture, STDERR_FILENO);
	ck_assert_ptr_null(open_path("file", false));
	ck_assert_str_eq(capture_end(&capture), "mtdump: 'file': exists (--force replaces it)\n");
	ck_assert_int_eq(message_exit_status(), EXIT_OUTPUT);
	ck_assert_str_eq(read_file("file"), "old");

	struct out *out = open_path("file", true);
	ck_assert_ptr_nonnull(out);
	out_string(out, "new");
	ck_assert_str_eq(read_file("file"), "old");
	ck_assert(out_close(out));
	ck_assert_str_eq(read_file("file"), "new");
	ck_assert_int_eq(count_files(), 1);
}
END_TEST

START_TEST(a_file_that_appears_meanwhile_is_kept)
{
	struct capture capture;
	struct out *out = open_path("file", false);
	out_string(out, "new");
	write_file("file", "other", 5);
	capture_begin(&capture, STDERR_FILENO);
	ck_assert(!out_close(out));
	capture_end(&capture);
	ck_assert_ptr_nonnull(strstr(capture.text, "'file': exists"));
	ck_assert_str_eq(read_file("file"), "other");
	ck_assert_int_eq(message_exit_status(), EXIT_OUTPUT);
	ck_assert_int_eq(count_files(), 1);
}
END_TEST

START_TEST(a_trace_is_not_replaced_even_by_force)
{
	struct capture capture;
	char head[64] = { 0 };
	memcpy(head + MT_SKIPPABLE_SIZE, MT_FILE_MAGIC, MT_FILE_MAGIC_SIZE);
	write_file("trace", head, sizeof(head));
	capture_begin(&capture, STDERR_FILENO);
	ck_assert_ptr_null(open_path("trace", true));
	ck_assert_str_eq(capture_end(&capture), "mtdump: 'trace': is a trace, which --force does not replace\n");
}
END_TEST

START_TEST(what_is_no_regular_file_is_not_replaced)
{
	static const char *const paths[] = { "link", "dangling", "directory", "/dev/null", "fifo" };
	struct capture capture;
	write_file("target", "old", 3);
	ck_assert_int_eq(symlink("target", "link"), 0);
	ck_assert_int_eq(symlink("nowhere", "dangling"), 0);
	ck_assert_int_eq(mkdir("directory", 0700), 0);
	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	for (int i = 0; i < COUNT(paths); i++) {
		for (int force = 0; force < 2; force++) {
			capture_begin(&capture, STDERR_FILENO);
			ck_assert_ptr_null(open_path(paths[i], force));
			ck_assert_uint_gt(strlen(capture_end(&capture)), 0);
		}
	}
	ck_assert_str_eq(read_file("target"), "old");
	ck_assert_ptr_null(read_file("nowhere"));
}
END_TEST

START_TEST(a_file_that_cannot_be_made_is_told)
{
	struct capture capture;
	capture_begin(&capture, STDERR_FILENO);
	ck_assert_ptr_null(open_path("no/such/file", false));
	ck_assert_str_eq(capture_end(&capture),
			 "mtdump: 'no/such/file': cannot create: No such file or directory\n");
	ck_assert_int_eq(message_exit_status(), EXIT_OUTPUT);
}
END_TEST

START_TEST(a_signal_leaves_no_unfinished_file)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	const pid_t child = fork();
	if (child == 0) {
		signal(signals[_i], SIG_DFL);           /* Check has its own */
		struct out *out = open_path("file", false);
		out_string(out, "text");
		raise(signals[_i]);
		_exit(0);
	}
	int status;
	waitpid(child, &status, 0);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), signals[_i]);
	ck_assert_int_eq(count_files(), 0);
}
END_TEST

/* Standard output is `fd` from here on. */
static void redirect_output(int fd)
{
	fflush(NULL);
	dup2(fd, STDOUT_FILENO);
	close(fd);
}

START_TEST(a_full_disk_is_told_once_and_then_nothing_is_done)
{
	struct capture capture;
	const int saved = dup(STDOUT_FILENO);
	redirect_output(open("/dev/full", O_WRONLY));
	capture_begin(&capture, STDERR_FILENO);
	struct out *out = out_open(NULL);
	for (int i = 0; i < 100000; i++)
		out_printf(out, "line %d\n", i);
	ck_assert(out_failed(out));
	out_write(out, "x", 1);
	memset(out_reserve(out, OUT_RESERVE_MAX), 'x', OUT_RESERVE_MAX);
	out_commit(out, OUT_RESERVE_MAX);
	ck_assert(!out_close(out));
	capture_end(&capture);
	dup2(saved, STDOUT_FILENO);
	ck_assert_str_eq(capture.text, "mtdump: 'standard output': cannot write: No space left on device\n");
	ck_assert_int_eq(message_exit_status(), EXIT_OUTPUT);
}
END_TEST

START_TEST(a_reader_that_went_away_is_no_message)
{
	struct capture capture;
	int ends[2];
	ck_assert_int_eq(pipe(ends), 0);
	close(ends[0]);
	const int saved = dup(STDOUT_FILENO);
	redirect_output(ends[1]);
	capture_begin(&capture, STDERR_FILENO);
	struct out *out = out_open(NULL);
	out_string(out, "text");
	ck_assert(!out_close(out));
	capture_end(&capture);
	dup2(saved, STDOUT_FILENO);
	ck_assert_str_eq(capture.text, "");
	ck_assert_int_eq(message_exit_status(), EXIT_OUTPUT);
}
END_TEST

START_TEST(a_full_file_system_leaves_no_file)
{
	/* The limit of file sizes stands in for it: EFBIG instead of ENOSPC. */
	struct capture capture;
	const struct rlimit limit = { .rlim_cur = 1 << 20, .rlim_max = RLIM_INFINITY };
	struct rlimit saved;
	signal(SIGXFSZ, SIG_IGN);
	capture_begin(&capture, STDERR_FILENO);
	struct out *out = open_path("file", false);
	getrlimit(RLIMIT_FSIZE, &saved);
	setrlimit(RLIMIT_FSIZE, &limit);
	for (int i = 0; i < 1 << 17; i++)
		out_write(out, "0123456789abcdef", 16);
	ck_assert(!out_close(out));
	setrlimit(RLIMIT_FSIZE, &saved);
	ck_assert_str_eq(capture_end(&capture), "mtdump: 'file': cannot write: File too large\n");
	ck_assert_int_eq(count_files(), 0);
}
END_TEST

/* A terminal of `rows` x 40 as standard output; what comes out at its other end can be read there. */
static int open_terminal(unsigned short rows)
{
	const struct winsize window = { .ws_row = rows, .ws_col = 40 };
	const int master = posix_openpt(O_RDWR | O_NOCTTY);
	ck_assert_int_ge(master, 0);
	ck_assert_int_eq(grantpt(master), 0);
	ck_assert_int_eq(unlockpt(master), 0);
	const int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	ck_assert_int_ge(slave, 0);
	ck_assert_int_eq(ioctl(slave, TIOCSWINSZ, &window), 0);
	redirect_output(slave);
	return master;
}

/* `lines` lines onto a terminal of ten rows; true if the pager had them all, false if none. */
static bool is_paged(const struct out_options *options, int lines, const char *line)
{
	const int saved = dup(STDOUT_FILENO);
	const int master = open_terminal(10);
	unlink("paged");
	struct out *out = out_open(options);
	for (int i = 0; i < lines; i++)
		out_string(out, line);
	ck_assert(out_close(out));
	fflush(NULL);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	close(master);
	const char *text = read_file("paged");
	if (!text)
		return false;
	ck_assert_uint_eq(strlen(text), strlen(line) * (size_t)lines);
	return true;
}

START_TEST(only_what_is_longer_than_the_screen_is_paged)
{
	const struct out_options no_pager = { .no_pager = true };
	static const char wide[] = "0123456789012345678901234567890123456789abc\n";     /* two rows */
	setenv("MTDUMP_PAGER", "cat > paged", 1);
	ck_assert(!is_paged(NULL, 9, "line\n"));
	ck_assert(is_paged(NULL, 10, "line\n"));
	ck_assert(is_paged(NULL, 500, "line\n"));
	ck_assert(!is_paged(NULL, 4, wide));
	ck_assert(is_paged(NULL, 5, wide));
	ck_assert(!is_paged(&no_pager, 50, "line\n"));
	setenv("MTDUMP_PAGER", "", 1);
	ck_assert(!is_paged(NULL, 50, "line\n"));
	unsetenv("MTDUMP_PAGER");
	setenv("PAGER", "cat > paged", 1);
	ck_assert(is_paged(NULL, 50, "line\n"));
	setenv("PAGER", "cat", 1);
	ck_assert(!is_paged(NULL, 50, "line\n"));
}
END_TEST

START_TEST(quitting_the_pager_is_no_failure)
{
	const int saved = dup(STDOUT_FILENO);
	struct capture capture;
	const int master = open_terminal(10);
	setenv("MTDUMP_PAGER", "exec true", 1);
	capture_begin(&capture, STDERR_FILENO);
	struct out *out = out_open(NULL);
	for (int i = 0; i < 1000000 && !out_failed(out); i++)
		out_string(out, "line\n");
	ck_assert(out_failed(out));
	out_close(out);
	capture_end(&capture);
	dup2(saved, STDOUT_FILENO);
	close(master);
	ck_assert_str_eq(capture.text, "");
	ck_assert_int_eq(message_exit_status(), EXIT_OK);
}
END_TEST

START_TEST(a_pager_that_cannot_be_run_is_told)
{
	const int saved = dup(STDOUT_FILENO);
	struct capture capture;
	const int master = open_terminal(10);
	setenv("MTDUMP_PAGER", "./no-such-pager", 1);
	capture_begin(&capture, STDERR_FILENO);
	struct out *out = out_open(NULL);
	for (int i = 0; i < 50; i++)
		out_string(out, "line\n");
	out_close(out);
	capture_end(&capture);
	dup2(saved, STDOUT_FILENO);
	close(master);
	ck_assert_ptr_nonnull(strstr(capture.text, "the pager './no-such-pager' cannot be run"));
	ck_assert_int_eq(message_exit_status(), EXIT_OUTPUT);
}
END_TEST

static bool color_on_terminal(enum out_color color)
{
	const struct out_options options = { .color = color };
	const int saved = dup(STDOUT_FILENO);
	const int master = open_terminal(10);
	struct out *out = out_open(&options);
	const bool color_wanted = out_color(out);
	out_close(out);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	close(master);
	return color_wanted;
}

START_TEST(color_is_for_terminals_that_want_it)
{
	const struct out_options always = { .path = "file", .color = OUT_COLOR_ALWAYS };
	struct out *out = open_path("plain", false);
	ck_assert(!out_color(out));
	out_close(out);
	out = out_open(&always);
	ck_assert(out_color(out));
	out_close(out);

	ck_assert(color_on_terminal(OUT_COLOR_AUTO));
	ck_assert(!color_on_terminal(OUT_COLOR_NEVER));
	setenv("NO_COLOR", "", 1);
	ck_assert(color_on_terminal(OUT_COLOR_AUTO));
	setenv("NO_COLOR", "1", 1);
	ck_assert(!color_on_terminal(OUT_COLOR_AUTO));
	ck_assert(color_on_terminal(OUT_COLOR_ALWAYS));
	unsetenv("NO_COLOR");
	setenv("TERM", "dumb", 1);
	ck_assert(!color_on_terminal(OUT_COLOR_AUTO));
}
END_TEST

START_TEST(a_dash_is_standard_output)
{
	struct capture capture;
	capture_begin(&capture, STDOUT_FILENO);
	struct out *out = open_path("-", false);
	out_string(out, "text");
	ck_assert(out_close(out));
	ck_assert_str_eq(capture_end(&capture), "text");
	ck_assert_int_eq(count_files(), 0);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("out");
	tcase_add_checked_fixture(tcase, enter_directory, leave_directory);
	tcase_add_test(tcase, text_of_any_length_arrives);
	tcase_add_test(tcase, a_file_appears_when_it_is_whole);
	tcase_add_test(tcase, an_abandoned_file_leaves_nothing);
	tcase_add_test(tcase, an_existing_file_needs_force);
	tcase_add_test(tcase, a_file_that_appears_meanwhile_is_kept);
	tcase_add_test(tcase, a_trace_is_not_replaced_even_by_force);
	tcase_add_test(tcase, what_is_no_regular_file_is_not_replaced);
	tcase_add_test(tcase, a_file_that_cannot_be_made_is_told);
	tcase_add_loop_test(tcase, a_signal_leaves_no_unfinished_file, 0, 3);
	tcase_add_test(tcase, a_full_disk_is_told_once_and_then_nothing_is_done);
	tcase_add_test(tcase, a_reader_that_went_away_is_no_message);
	tcase_add_test(tcase, a_full_file_system_leaves_no_file);
	tcase_add_test(tcase, only_what_is_longer_than_the_screen_is_paged);
	tcase_add_test(tcase, quitting_the_pager_is_no_failure);
	tcase_add_test(tcase, a_pager_that_cannot_be_run_is_told);
	tcase_add_test(tcase, color_is_for_terminals_that_want_it);
	tcase_add_test(tcase, a_dash_is_standard_output);
	return suite_run("out", tcase);
}
