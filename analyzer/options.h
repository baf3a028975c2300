/*
 * Option tables: one row makes the parsing, the line in --help and the completion.
 *
 * A verb has one or more tables, each of which fills a struct of its own. getopt_long() does the
 * parsing; the rows only say what goes where.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * Take `argument` (NULL for an option without one) into the field at `field`. Return NULL, or a few
 * words on what is wrong with it ("not a size"), which the caller completes to a message.
 */
typedef const char *option_setter(void *field, const char *argument);

struct option_spec {
	char short_name;                /* 0: none */
	const char *long_name;          /* NULL ends the table */
	const char *argument;           /* "SIZE"; NULL: takes none */
	option_setter *set;
	size_t offset;                  /* of the field in the table's struct */
	const char *help;
	const char *choices;            /* completion: "full base", or NULL */
};

struct option_table {
	const char *title;              /* heading in --help: "filters" */
	const struct option_spec *rows;
	void *target;                   /* the struct that the rows' offsets are in */
};

option_setter set_flag;                 /* bool: true */
option_setter set_string;               /* const char *: borrowed from argv */
option_setter set_size;                 /* struct option_size: units.h */
option_setter set_uint;                 /* uint64_t */

/* A size that knows whether it was given. */
struct option_size {
	bool given;
	long long bytes;
};

/*
 * Parse argv[1..]; operands are moved behind the options as getopt_long() does, and their index comes
 * in *operands_out. `tables` ends with a NULL title. --help is understood by itself: it prints
 * and gives OPTIONS_HELP. On OPTIONS_ERROR a message has been printed.
 */
enum options_result { OPTIONS_OK, OPTIONS_HELP, OPTIONS_ERROR };
struct command;
enum options_result options_parse(const struct command *command, const struct option_table *tables,
				  int argc, char **argv, int *operands_out);

/*
 * The same, and true, if there is something to do: at least one trace, and one alone if command->operands is "TRACE".
 * Otherwise a message, or help, has been printed.
 */
bool options_parse_traces(const struct command *command, const struct option_table *tables, int argc, char **argv,
			  int *first_out);

/*
 * What completion scripts read, "mtdump VERB --list-options": long name, short name, argument, choices and help, with
 * tabs between. Not in --help: it is not for people.
 */
void options_print_list(const struct option_table *tables);

void options_print_help(FILE *to, const struct command *command, const struct option_table *tables);

#endif
