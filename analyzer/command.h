/*
 * The verbs of mtdump. A new one is a cmd_VERB.c and a row in main.c.
 */
#ifndef COMMAND_H
#define COMMAND_H

struct command {
	const char *name;
	const char *operands;           /* "TRACE..." */
	const char *summary;            /* one line for `mtdump --help` */
	/* argv[0] is the verb. Messages and message_note_status() tell how it went. */
	void (*run)(const struct command *command, int argc, char **argv);
	int hidden;                     /* not in --help: for tests */
};

extern const struct command commands[];         /* ends with a NULL name */

void cmd_log(const struct command *command, int argc, char **argv);
void cmd_top(const struct command *command, int argc, char **argv);
void cmd_tree(const struct command *command, int argc, char **argv);
void cmd_peak(const struct command *command, int argc, char **argv);
void cmd_growth(const struct command *command, int argc, char **argv);
void cmd_timeline(const struct command *command, int argc, char **argv);
void cmd_diff(const struct command *command, int argc, char **argv);
void cmd_check(const struct command *command, int argc, char **argv);
void cmd_last(const struct command *command, int argc, char **argv);
void cmd_info(const struct command *command, int argc, char **argv);
void cmd_verify(const struct command *command, int argc, char **argv);
void cmd_follow(const struct command *command, int argc, char **argv);
void cmd_repair(const struct command *command, int argc, char **argv);
void cmd_archive(const struct command *command, int argc, char **argv);
void cmd_export(const struct command *command, int argc, char **argv);
void cmd_html(const struct command *command, int argc, char **argv);
void cmd_dump(const struct command *command, int argc, char **argv);

#endif
