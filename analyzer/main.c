/*
 * mtdump: the table of its verbs, which of them is meant, and the exit status.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analyzer/command.h"
#include "analyzer/message.h"
#include "analyzer/suggest.h"
#include "format/layout.h"

const struct command commands[] = {
	{ "log", "TRACE...", "print the log of calls and returns that changed the memory", cmd_log, 0 },
	{ "top", "TRACE...", "rank functions by what they did to memory and time", cmd_top, 0 },
	{ "tree", "TRACE...", "the call tree, with what each path did to memory and time", cmd_tree, 0 },
	{ "peak", "TRACE...", "when memory was highest, on which path, and what was live", cmd_peak, 0 },
	{ "growth", "TRACE...", "which call paths keep more memory with every call", cmd_growth, 0 },
	{ "timeline", "TRACE...", "the curve of RSS, and the calls behind its steepest steps", cmd_timeline, 0 },
	{ "diff", "OLD NEW | OLD... -- NEW...", "what changed from one program or run to another, and what is noise", cmd_diff, 0 },
	{ "check", "TRACE...", "do bounds hold, such as a peak or a baseline? A gate for CI", cmd_check, 0 },
	{ "last", "TRACE...", "what it was doing when it ended: open calls, last climbs, limit", cmd_last, 0 },
	{ "follow", "TRACE", "watch a program while it is recorded: RSS, open calls, who grew", cmd_follow, 0 },
	{ "export", "TRACE...", "write it for a viewer: speedscope, Chrome, Perfetto, pprof, Firefox", cmd_export, 0 },
	{ "html", "TRACE", "make it a page for a browser: curve, calls, flame graphs, growth", cmd_html, 0 },
	{ "info", "TRACE...", "tell what a trace is: who, when, how much, what was lost", cmd_info, 0 },
	{ "verify", "TRACE...", "check every checksum and every rule of the format", cmd_verify, 0 },
	{ "repair", "TRACE...", "close a trace whose program died, with what its tail has", cmd_repair, 0 },
	{ "archive", "TRACE...", "make a closed trace smaller, for keeping", cmd_archive, 0 },
	{ "dump", "TRACE...", "print every record, tab separated, for comparing decoders", cmd_dump, 1 },
	{ 0 },
};

static const struct command *find_command(const char *name)
{
	for (const struct command *command = commands; command->name; command++)
		if (!strcmp(command->name, name))
			return command;
	return NULL;
}

static void print_help(FILE *to)
{
	fputs("usage: mtdump [OPTION...] TRACE...\n"
	      "       mtdump VERB [OPTION...] TRACE...\n\n"
	      "Shows which calls of a Python program changed its resident memory, from a\n"
	      "recording made by 'python -m pymemtrace'. TRACE \"-\" is standard input.\n\n"
	      "verbs:\n", to);
	for (const struct command *command = commands; command->name; command++)
		if (!command->hidden)
			fprintf(to, "  %-8s %s\n", command->name, command->summary);
	fputs("\nWithout a verb it is log. 'mtdump VERB --help' lists the options of a verb.\n\n"
	      "help:\n"
	      "  -h, --help     print this\n"
	      "  -V, --version  print the version\n\n"
	      "exit status:\n"
	      "  0  all that the file claims was read\n"
	      "  1  the output could not be written\n"
	      "  2  wrong usage\n"
	      "  3  the file is damaged; what was readable was printed\n"
	      "  4  not a trace, or one of a newer format\n"
	      "  5  the file could not be opened or read\n"
	      "  6  a limit was reached\n"
	      "  7  a bound that was asked for does not hold (diff, check)\n", to);
}

/*
 * A word such as a verb would be, and no file. Whatever has a dot or a slash was meant as a file,
 * and it is better told that it cannot be opened.
 */
static int looks_like_verb(const char *word)
{
	struct stat st;
	return word[strspn(word, "abcdefghijklmnopqrstuvwxyz-")] == '\0' && stat(word, &st) != 0;
}

static void unknown_verb(const char *word)
{
	struct suggest suggest;
	suggest_init(&suggest, word);
	for (const struct command *command = commands; command->name; command++)
		if (!command->hidden)
			suggest_add(&suggest, command->name);
	if (suggest.best)
		message_error(EXIT_USAGE, word, "neither a verb nor a file (did you mean '%s'?)",
			      suggest.best);
	else
		message_error(EXIT_USAGE, word, "neither a verb nor a file (try 'mtdump --help')");
}

static void run(int argc, char **argv)
{
	static char log[] = "log";

	if (argc < 2) {
		print_help(stderr);
		message_note_status(EXIT_USAGE);
		return;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		print_help(stdout);
		return;
	}
	if (!strcmp(argv[1], "--list-verbs")) {         /* for completion scripts */
		for (const struct command *command = commands; command->name; command++)
			if (!command->hidden)
				printf("%s\t%s\n", command->name, command->summary);
		return;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("mtdump %s, trace format %d.%d\n", PACKAGE_VERSION, MT_VERSION_MAJOR,
		       MT_VERSION_MINOR);
		return;
	}
	const struct command *const command = find_command(argv[1]);
	if (command) {
		command->run(command, argc - 1, argv + 1);
	} else if (argv[1][0] != '-' && looks_like_verb(argv[1])) {
		unknown_verb(argv[1]);
	} else {
		argv[0] = log;
		commands[0].run(&commands[0], argc, argv);
	}
}

/*
 * If a standard descriptor is closed, the next file that is opened would take its place, and output
 * or messages would go there. Occupied the wrong way round, it gives an error instead.
 */
static void occupy_standard_descriptors(void)
{
	static const int modes[] = { O_WRONLY, O_RDONLY, O_RDONLY };
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) != fd)
			_exit(EXIT_OUTPUT);
}

int main(int argc, char **argv)
{
	occupy_standard_descriptors();
	signal(SIGPIPE, SIG_IGN);               /* out.c learns it from EPIPE */
	run(argc, argv);
	/* Help goes through stdio; everything else through struct out, which has told already. */
	errno = 0;
	if (fflush(stdout) != 0) {
		if (errno == EPIPE)
			message_note_status(EXIT_OUTPUT);
		else
			message_error(EXIT_OUTPUT, "standard output", "cannot write: %s", strerror(errno));
	}
	return (int)message_exit_status();
}
