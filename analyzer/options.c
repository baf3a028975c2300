/*
 * Option tables for getopt_long(), and the help that is printed from the same rows.
 */
#include "analyzer/options.h"

#include <assert.h>
#include <getopt.h>
#include <limits.h>
#include <string.h>

#include "analyzer/command.h"
#include "analyzer/message.h"
#include "analyzer/suggest.h"
#include "analyzer/units.h"

enum {
	ROWS_MAX = 64,
	HELP_VALUE = 0x100 + ROWS_MAX,
	HELP_COLUMN = 28,
	HELP_WIDTH = 79,
};

const char *set_flag(void *field, const char *argument)
{
	(void)argument;
	*(bool *)field = true;
	return NULL;
}

const char *set_string(void *field, const char *argument)
{
	*(const char **)field = argument;
	return NULL;
}

const char *set_size(void *field, const char *argument)
{
	uint64_t bytes;
	if (!units_parse_size(argument, &bytes) || bytes > LLONG_MAX)
		return "not a size (such as 4096, 4K or 1.5MiB)";
	*(struct option_size *)field = (struct option_size){ .given = true, .bytes = (long long)bytes };
	return NULL;
}

const char *set_uint(void *field, const char *argument)
{
	uint64_t value = 0;
	const char *p = argument;
	do {
		if (*p < '0' || *p > '9')
			return "not a number";
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return "too large";
	} while (*++p);
	*(uint64_t *)field = value;
	return NULL;
}

static const struct option_spec help_row = { 'h', "help", NULL, NULL, 0, "print this", NULL };

/* The tables as getopt_long() wants them. The value of a long option is 0x100 + its place here. */
struct parser {
	const struct command *command;
	const struct option_spec *rows[ROWS_MAX];
	void *targets[ROWS_MAX];
	int count;
	struct option long_options[ROWS_MAX + 2];
	char short_options[2 * ROWS_MAX + 4];
};

static void parser_init(struct parser *parser, const struct command *command,
			const struct option_table *tables)
{
	*parser = (struct parser){ .command = command };
	char *shorts = parser->short_options;
	*shorts++ = ':';                /* a missing argument is told apart */
	*shorts++ = 'h';
	for (const struct option_table *table = tables; table->title; table++) {
		for (const struct option_spec *row = table->rows; row->long_name; row++) {
			const int i = parser->count++;
			assert(i < ROWS_MAX);
			parser->rows[i] = row;
			parser->targets[i] = table->target;
			parser->long_options[i] = (struct option){
				.name = row->long_name,
				.has_arg = row->argument ? required_argument : no_argument,
				.val = 0x100 + i,
			};
			if (row->short_name) {
				*shorts++ = row->short_name;
				if (row->argument)
					*shorts++ = ':';
			}
		}
	}
	parser->long_options[parser->count] = (struct option){ .name = "help", .val = HELP_VALUE };
}

/* The row that getopt_long() means by `value`, which it has from us. */
static int parser_find(const struct parser *parser, int value)
{
	if (value >= 0x100)
		return value - 0x100;
	int i = 0;
	while (parser->rows[i]->short_name != value)
		i++;
	return i;
}

static enum options_result usage_error(const struct parser *parser, const char *what,
				       const char *option)
{
	message_error(EXIT_USAGE, NULL, "%s '%s' (try 'mtdump %s --help')", what, message_quote(option),
		      parser->command->name);
	return OPTIONS_ERROR;
}

/* What getopt_long() could not make sense of: a letter in optopt, or the long option `typed`. */
static enum options_result unknown_option(const struct parser *parser, const char *typed)
{
	if (optopt) {
		const char letter[] = { '-', (char)optopt, '\0' };
		return usage_error(parser, "unknown option", letter);
	}
	const size_t size = strcspn(typed, "=");
	char name[64];
	snprintf(name, sizeof(name), "%.*s", (int)(size < 60 ? size : 60), typed);

	struct suggest suggest;
	int beginnings = 0;
	suggest_init(&suggest, name + 2);
	for (int i = 0; i < parser->count; i++) {
		suggest_add(&suggest, parser->rows[i]->long_name);
		beginnings += !strncmp(parser->rows[i]->long_name, name + 2, strlen(name + 2));
	}
	suggest_add(&suggest, "help");
	if (!suggest.best)
		return usage_error(parser, "unknown option", name);
	message_error(EXIT_USAGE, NULL, "%s option '%s' (did you mean '--%s'?)",
		      beginnings > 1 ? "ambiguous" : "unknown", message_quote(name), suggest.best);
	return OPTIONS_ERROR;
}

static void print_list_row(const struct option_spec *row)
{
	const char letter[] = { '-', row->short_name, '\0' };
	printf("--%s\t%s\t%s\t%s\t%s\n", row->long_name, row->short_name ? letter : "",
	       row->argument ? row->argument : "", row->choices ? row->choices : "", row->help);
}

void options_print_list(const struct option_table *tables)
{
	for (const struct option_table *table = tables; table->title; table++)
		for (const struct option_spec *row = table->rows; row->long_name; row++)
			print_list_row(row);
	print_list_row(&help_row);
}

enum options_result options_parse(const struct command *command, const struct option_table *tables,
				  int argc, char **argv, int *operands_out)
{
	struct parser parser;
	if (argc == 2 && !strcmp(argv[1], "--list-options")) {
		options_print_list(tables);
		return OPTIONS_HELP;
	}
	parser_init(&parser, command, tables);

	opterr = 0;
	optind = 0;                     /* start over: also for a second parse in one process */
	for (;;) {
		const int value = getopt_long(argc, argv, parser.short_options, parser.long_options, NULL);
		if (value < 0)
			break;
		if (value == 'h' || value == HELP_VALUE) {
			options_print_help(stdout, command, tables);
			return OPTIONS_HELP;
		}
		if (value == '?' && optopt >= 0x100)
			return usage_error(&parser, "no argument is taken by", argv[optind - 1]);
		if (value == '?')
			return unknown_option(&parser, argv[optind - 1]);
		const int row = parser_find(&parser, value == ':' ? optopt : value);
		const struct option_spec *const spec = parser.rows[row];
		if (value == ':') {
			message_error(EXIT_USAGE, NULL, "option '--%s' needs %s (try 'mtdump %s --help')",
				      spec->long_name, spec->argument, command->name);
			return OPTIONS_ERROR;
		}
		const char *const wrong =
			spec->set((char *)parser.targets[row] + spec->offset, optarg);
		if (wrong) {
			message_error(EXIT_USAGE, NULL, "option '--%s': '%s' is %s", spec->long_name,
				      message_quote(optarg ? optarg : ""), wrong);
			return OPTIONS_ERROR;
		}
	}
	*operands_out = optind;
	return OPTIONS_OK;
}

bool options_parse_traces(const struct command *command, const struct option_table *tables, int argc, char **argv,
			  int *first_out)
{
	if (options_parse(command, tables, argc, argv, first_out) != OPTIONS_OK)
		return false;
	const int count = argc - *first_out;
	if (count < 1)
		message_error(EXIT_USAGE, NULL, "%s: no trace given (try 'mtdump %s --help')", command->name, command->name);
	else if (count > 1 && !strcmp(command->operands, "TRACE"))
		message_error(EXIT_USAGE, NULL, "%s takes one trace", command->name);
	else
		return true;
	return false;
}

/* `text` from `column` on, in lines that begin at HELP_COLUMN. */
static void print_wrapped(FILE *to, size_t column, const char *text)
{
	if (column >= HELP_COLUMN - 1) {
		fputc('\n', to);
		column = 0;
	}
	fprintf(to, "%*s", (int)(HELP_COLUMN - column), "");
	column = HELP_COLUMN;
	for (const char *word = text; *word;) {
		const size_t size = strcspn(word, " ");
		if (column > HELP_COLUMN) {
			if (column + 1 + size > HELP_WIDTH) {
				fprintf(to, "\n%*s", HELP_COLUMN, "");
				column = HELP_COLUMN;
			} else {
				fputc(' ', to);
				column++;
			}
		}
		fwrite(word, 1, size, to);
		column += size;
		word += size;
		word += strspn(word, " ");
	}
	fputc('\n', to);
}

static void print_row(FILE *to, const struct option_spec *row)
{
	char left[64];
	const char letter[] = { '-', row->short_name, ',', '\0' };
	snprintf(left, sizeof(left), "  %-3s --%s%s%s", row->short_name ? letter : "", row->long_name,
		 row->argument ? "=" : "", row->argument ? row->argument : "");
	fputs(left, to);
	print_wrapped(to, strlen(left), row->help);
}

void options_print_help(FILE *to, const struct command *command, const struct option_table *tables)
{
	fprintf(to, "usage: mtdump %s [OPTION...] %s\n\n%s\n", command->name, command->operands,
		command->summary);
	for (const struct option_table *table = tables; table->title; table++) {
		if (!table->rows->long_name)
			continue;
		fprintf(to, "\n%s:\n", table->title);
		for (const struct option_spec *row = table->rows; row->long_name; row++)
			print_row(to, row);
	}
	fprintf(to, "\nhelp:\n");
	print_row(to, &help_row);
}
