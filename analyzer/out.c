/*
 * Output through one buffer to one descriptor, whatever is behind it.
 *
 * What it is can change once: on a terminal the buffer is held back until there is more than a screen
 * of it, and then a pager takes the descriptor's place.
 */
#define _GNU_SOURCE     /* pipe2 */
#include "analyzer/out.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "analyzer/message.h"
#include "analyzer/progress.h"
#include "format/layout.h"

enum { BUFFER_SIZE = 256 * 1024 };

_Static_assert(OUT_RESERVE_MAX <= BUFFER_SIZE, "a reservation fits into an empty buffer");

struct out {
	int fd;
	bool failed;            /* sticky: told, or nobody listens */
	bool color;
	bool terminal;
	bool holding;           /* a pager may still take over */
	bool force;
	unsigned rows, columns; /* of the screen while holding */
	unsigned lines, column; /* screen lines held, and where the last one stands */

	const char *path;       /* borrowed; NULL: standard output */
	char *part_path;        /* the file as long as it is not whole */

	bool in_memory;         /* what is beyond the buffer goes there: */
	char *memory;
	size_t memory_used, memory_room;

	pid_t pager;            /* 0: none */
	struct sigaction saved_interrupt, saved_quit;

	size_t used;
	char buffer[BUFFER_SIZE];
};

static const char *set_color(void *field, const char *argument)
{
	static const char *const names[] = { "auto", "always", "never" };
	for (int i = 0; i < 3; i++) {
		if (!strcmp(argument, names[i])) {
			*(enum out_color *)field = (enum out_color)i;
			return NULL;
		}
	}
	return "neither auto, always nor never";
}

const struct option_spec out_option_rows[] = {
	{ 'o', "output", "FILE", set_string, offsetof(struct out_options, path),
	  "write to FILE, which must not exist; \"-\" is standard output", NULL },
	{ 0, "force", NULL, set_flag, offsetof(struct out_options, force),
	  "an existing output file may be replaced", NULL },
	{ 0, "color", "WHEN", set_color, offsetof(struct out_options, color),
	  "auto (on a terminal, the default), always or never", "auto always never" },
	{ 0, "no-pager", NULL, set_flag, offsetof(struct out_options, no_pager),
	  "do not page what is longer than the screen", NULL },
	{ 0 },
};

static const char *name_of(const struct out *out)
{
	return out->path ? out->path : "standard output";
}

static void fail(struct out *out, const char *what, int error)
{
	if (out->failed)
		return;
	out->failed = true;
	if (error == EPIPE && out->pager)
		return;                         /* quit: has seen enough */
	if (error == EPIPE)
		message_note_status(EXIT_OUTPUT);
	else
		message_error(EXIT_OUTPUT, name_of(out), "%s: %s", what, strerror(error));
}

/* ---- the unfinished file, which no signal may leave behind ---- */

static const char *volatile unfinished_path;
static const int ending_signals[] = { SIGHUP, SIGINT, SIGTERM };
enum { ENDING_COUNT = sizeof(ending_signals) / sizeof(ending_signals[0]) };

static void remove_unfinished(int signal_number)
{
	const char *path = unfinished_path;
	if (path)
		unlink(path);
	raise(signal_number);                   /* SA_RESETHAND: now with its usual effect */
}

void out_guard_unfinished(const char *path)
{
	sigset_t set, old;
	sigemptyset(&set);
	for (int i = 0; i < ENDING_COUNT; i++)
		sigaddset(&set, ending_signals[i]);
	sigprocmask(SIG_BLOCK, &set, &old);
	unfinished_path = path;
	for (int i = 0; i < ENDING_COUNT; i++) {
		struct sigaction action;
		sigaction(ending_signals[i], NULL, &action);
		if (path && action.sa_handler == SIG_DFL) {
			action = (struct sigaction){ .sa_handler = remove_unfinished,
						     .sa_flags = (int)SA_RESETHAND };
			sigaction(ending_signals[i], &action, NULL);
		}
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
}

/*
 * What an output file may not replace: NULL if nothing is in the way. With --force that is a regular
 * file that is no trace; a recording cannot be made again.
 */
static const char *obstacle(const char *path, bool force)
{
	struct stat st;
	if (lstat(path, &st) != 0)
		return NULL;
	if (S_ISLNK(st.st_mode))
		return "is a symbolic link, which is not followed";
	if (!S_ISREG(st.st_mode))
		return "exists and is not a regular file";
	if (!force)
		return "exists (--force replaces it)";

	char head[MT_SKIPPABLE_SIZE + MT_FILE_MAGIC_SIZE];
	const int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	const ssize_t size = pread(fd, head, sizeof(head), 0);
	close(fd);
	if (size == (ssize_t)sizeof(head) &&
	    !memcmp(head + MT_SKIPPABLE_SIZE, MT_FILE_MAGIC, MT_FILE_MAGIC_SIZE))
		return "is a trace, which --force does not replace";
	return NULL;
}

static bool open_file(struct out *out)
{
	const char *const way = obstacle(out->path, out->force);
	if (way) {
		message_error(EXIT_OUTPUT, out->path, "%s", way);
		return false;
	}
	const char *const slash = strrchr(out->path, '/');
	const size_t directory_size = slash ? (size_t)(slash - out->path) + 1 : 0;
	static const char name[] = ".mtdump-XXXXXX";
	out->part_path = malloc(directory_size + sizeof(name));
	if (!out->part_path) {
		message_error(EXIT_OUTPUT, out->path, "cannot create: %s", strerror(ENOMEM));
		return false;
	}
	memcpy(out->part_path, out->path, directory_size);
	memcpy(out->part_path + directory_size, name, sizeof(name));
	out->fd = mkostemp(out->part_path, O_CLOEXEC);
	if (out->fd < 0) {
		message_error(EXIT_OUTPUT, out->path, "cannot create: %s", strerror(errno));
		free(out->part_path);
		out->part_path = NULL;
		return false;
	}
	out_guard_unfinished(out->part_path);
	const mode_t mask = umask(0);
	umask(mask);
	fchmod(out->fd, 0666 & ~mask);          /* if it fails, 0600 is the safe side */
	return true;
}

/* Give the file its name; nothing that has come to be under it meanwhile is replaced unasked. */
int out_place_file(const char *part_path, const char *path, bool force)
{
	if (force)
		return rename(part_path, path);
	if (link(part_path, path) == 0)
		return unlink(part_path);
	if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
		return -1;
	/* A file system without links. */
	struct stat st;
	if (lstat(path, &st) == 0) {
		errno = EEXIST;
		return -1;
	}
	return rename(part_path, path);
}

/* ---- terminal and pager ---- */

static bool color_wanted(enum out_color color, bool terminal)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	if (color != OUT_COLOR_AUTO)
		return color == OUT_COLOR_ALWAYS;
	return terminal && !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
}

static bool in_search_path(const char *program)
{
	const char *path = getenv("PATH");
	while (path && *path) {
		char file[4096];
		const size_t size = strcspn(path, ":");
		if (snprintf(file, sizeof(file), "%.*s/%s", (int)size, path, program) <
			    (int)sizeof(file) && access(file, X_OK) == 0)
			return true;
		path += size + (path[size] == ':');
	}
	return false;
}

/* The command of the pager, or NULL if there is to be none. */
static const char *pager_command(void)
{
	const char *command = getenv("MTDUMP_PAGER");
	if (!command)
		command = getenv("PAGER");
	if (!command)
		return in_search_path("less") ? "less -FRX" : NULL;
	return *command && strcmp(command, "cat") != 0 ? command : NULL;
}

static void start_pager(struct out *out)
{
	out->holding = false;
	const char *const command = pager_command();
	int ends[2];
	if (!command || pipe2(ends, O_CLOEXEC) != 0)
		return;                         /* unpaged is better than not at all */
	progress_silence(true);
	const pid_t child = fork();
	if (child == 0) {
		signal(SIGPIPE, SIG_DFL);
		if (dup2(ends[0], STDIN_FILENO) < 0)
			_exit(127);
		setenv("LESS", "FRX", 0);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	close(ends[0]);
	if (child < 0) {
		close(ends[1]);
		progress_silence(false);
		return;
	}
	out->fd = ends[1];
	out->pager = child;
	/* An interrupt at the keyboard is for the pager, which stays to show what it has. */
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigaction(SIGINT, &ignore, &out->saved_interrupt);
	sigaction(SIGQUIT, &ignore, &out->saved_quit);
}

static void end_pager(struct out *out)
{
	int status = 0;

	close(out->fd);
	while (waitpid(out->pager, &status, 0) < 0 && errno == EINTR)
		;
	sigaction(SIGINT, &out->saved_interrupt, NULL);
	sigaction(SIGQUIT, &out->saved_quit, NULL);
	progress_silence(false);
	if (WIFEXITED(status) && (WEXITSTATUS(status) == 126 || WEXITSTATUS(status) == 127))
		message_error(EXIT_OUTPUT, name_of(out),
			      "the pager '%s' cannot be run (try --no-pager)",
			      message_quote(pager_command()));
}

/* Count the screen lines that `text` takes; sequences that do not print make it a little more. */
static void count_lines(struct out *out, const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (text[i] == '\n' || ++out->column > out->columns) {
			out->lines++;
			out->column = text[i] != '\n';
		}
	}
}

static void hold_for_pager(struct out *out)
{
	struct winsize window = { 0 };
	if (!pager_command())
		return;
	if (ioctl(out->fd, TIOCGWINSZ, &window) != 0 || !window.ws_row || !window.ws_col)
		window = (struct winsize){ .ws_row = 24, .ws_col = 80 };
	out->holding = true;
	out->rows = window.ws_row;
	out->columns = window.ws_col;
}

/* ---- the buffer ---- */

static void write_memory(struct out *out, const char *data, size_t size)
{
	if (out->memory_room - out->memory_used < size) {
		const size_t room = (out->memory_used + size) * 2;
		char *memory = realloc(out->memory, room);
		if (!memory) {
			fail(out, "cannot write", ENOMEM);
			return;
		}
		out->memory = memory;
		out->memory_room = room;
	}
	memcpy(out->memory + out->memory_used, data, size);
	out->memory_used += size;
}

static void write_out(struct out *out, const char *data, size_t size)
{
	if (out->in_memory) {
		write_memory(out, data, size);
		return;
	}
	if (out->terminal)
		progress_clear();
	while (size && !out->failed) {
		const ssize_t n = write(out->fd, data, size);
		if (n > 0) {
			data += n;
			size -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			/* somebody else made the descriptor non-blocking */
			poll(&(struct pollfd){ .fd = out->fd, .events = POLLOUT }, 1, -1);
		} else if (n == 0 || errno != EINTR) {
			fail(out, "cannot write", n == 0 ? EIO : errno);
		}
	}
}

static void flush(struct out *out)
{
	const size_t size = out->used;
	out->used = 0;
	write_out(out, out->buffer, size);
}

void out_flush(struct out *out)
{
	flush(out);
}

/* `size` more bytes are in the buffer, at its end. */
static void added(struct out *out, size_t size)
{
	if (!out->holding)
		return;
	count_lines(out, out->buffer + out->used - size, size);
	/* The prompt wants a line, too. */
	if (out->lines >= out->rows) {
		start_pager(out);
		flush(out);
	}
}

char *out_reserve(struct out *out, size_t size)
{
	assert(size <= OUT_RESERVE_MAX);
	if (BUFFER_SIZE - out->used < size) {
		if (out->holding)
			start_pager(out);
		flush(out);
	}
	return out->buffer + out->used;
}

void out_commit(struct out *out, size_t used)
{
	assert(used <= BUFFER_SIZE - out->used);
	if (out->failed)
		return;
	out->used += used;
	added(out, used);
}

void out_write(struct out *out, const void *data, size_t size)
{
	const char *from = data;
	while (size && !out->failed) {
		const size_t part = size < OUT_RESERVE_MAX ? size : OUT_RESERVE_MAX;
		memcpy(out_reserve(out, part), from, part);
		out_commit(out, part);
		from += part;
		size -= part;
	}
}

void out_string(struct out *out, const char *text)
{
	out_write(out, text, strlen(text));
}

void out_printf(struct out *out, const char *format, ...)
{
	va_list arguments, again;
	char *room = out_reserve(out, OUT_RESERVE_MAX);

	va_start(arguments, format);
	va_copy(again, arguments);
	const int size = vsnprintf(room, OUT_RESERVE_MAX, format, arguments);
	va_end(arguments);
	if (size < 0) {
		fail(out, "cannot write", EINVAL);
	} else if (size < OUT_RESERVE_MAX) {
		out_commit(out, (size_t)size);
	} else {
		char *whole = malloc((size_t)size + 1);
		if (whole) {
			vsnprintf(whole, (size_t)size + 1, format, again);
			out_write(out, whole, (size_t)size);
			free(whole);
		} else {
			fail(out, "cannot write", ENOMEM);
		}
	}
	va_end(again);
}

void out_milli(struct out *out, int64_t value)
{
	const uint64_t size = value < 0 ? -(uint64_t)value : (uint64_t)value;
	out_printf(out, "%s%" PRIu64 ".%03u", value < 0 ? "-" : "", size / 1000, (unsigned)(size % 1000));
}

/* ---- life ---- */

struct out *out_open(const struct out_options *options)
{
	static const struct out_options usual = { 0 };
	if (!options)
		options = &usual;

	struct out *out = malloc(sizeof(*out));
	if (!out) {
		message_error(EXIT_LIMIT, NULL, "%s", mt_status_string(MT_ERR_NO_MEMORY));
		return NULL;
	}
	*out = (struct out){ .fd = STDOUT_FILENO, .force = options->force };
	if (options->path && strcmp(options->path, "-") != 0) {
		out->path = options->path;
		if (!open_file(out)) {
			free(out);
			return NULL;
		}
	}
	out->terminal = isatty(out->fd);
	out->color = color_wanted(options->color, out->terminal);
	if (out->terminal && !options->no_pager)
		hold_for_pager(out);
	return out;
}

struct out *out_open_memory(void)
{
	struct out *out = malloc(sizeof(*out));
	if (!out) {
		message_error(EXIT_LIMIT, NULL, "%s", mt_status_string(MT_ERR_NO_MEMORY));
		return NULL;
	}
	*out = (struct out){ .fd = -1, .in_memory = true };
	return out;
}

const char *out_taken(struct out *out, size_t *size_out)
{
	/* Mostly all of it is in the buffer. */
	if (out->memory_used)
		flush(out);
	*size_out = out->memory_used ? out->memory_used : out->used;
	const char *text = out->memory_used ? out->memory : out->buffer;
	out->used = out->memory_used = 0;
	return out->failed ? NULL : text;
}

static void finish_file(struct out *out, bool keep)
{
	if (close(out->fd) != 0)
		fail(out, "cannot write", errno);
	if (keep && !out->failed) {
		const char *const way = obstacle(out->path, out->force);
		if (way) {
			out->failed = true;
			message_error(EXIT_OUTPUT, out->path, "%s", way);
		} else if (out_place_file(out->part_path, out->path, out->force) != 0) {
			fail(out, "cannot rename to it", errno);
		}
	}
	if (!keep || out->failed)
		unlink(out->part_path);
	out_guard_unfinished(NULL);
	free(out->part_path);
}

/* Some file systems (NFS) say only at close() that a write has failed. */
static void close_standard_output(struct out *out)
{
	const int copy = dup(out->fd);
	if (copy >= 0 && close(copy) != 0)
		fail(out, "cannot write", errno);
}

bool out_close(struct out *out)
{
	if (!out)
		return true;
	flush(out);
	if (out->pager)
		end_pager(out);
	else if (out->part_path)
		finish_file(out, true);
	else
		close_standard_output(out);
	const bool arrived = !out->failed;
	free(out->memory);
	free(out);
	return arrived;
}

void out_abandon(struct out *out)
{
	if (!out)
		return;
	if (out->pager)
		end_pager(out);
	else if (out->part_path)
		finish_file(out, false);
	free(out->memory);
	free(out);
}

bool out_failed(const struct out *out)
{
	return out->failed;
}

bool out_color(const struct out *out)
{
	return out->color;
}
