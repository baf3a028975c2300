# analyzer/: mtdump.

bin_PROGRAMS += mtdump
noinst_LTLIBRARIES += libanalyzer.la

# All but main.c, so that unit tests can link it.
libanalyzer_la_SOURCES = \
	%D%/archive.c \
	%D%/archive.h \
	%D%/charges.c \
	%D%/charges.h \
	%D%/cmd_archive.c \
	%D%/cmd_dump.c \
	%D%/cmd_info.c \
	%D%/cmd_log.c \
	%D%/cmd_peak.c \
	%D%/cmd_top.c \
	%D%/cmd_tree.c \
	%D%/cmd_verify.c \
	%D%/command.h \
	%D%/digits.c \
	%D%/digits.h \
	%D%/filter.c \
	%D%/filter.h \
	%D%/functions.c \
	%D%/functions.h \
	%D%/json.c \
	%D%/json.h \
	%D%/message.c \
	%D%/message.h \
	%D%/options.c \
	%D%/options.h \
	%D%/out.c \
	%D%/out.h \
	%D%/pool.c \
	%D%/pool.h \
	%D%/progress.c \
	%D%/progress.h \
	%D%/render_text.c \
	%D%/render_text.h \
	%D%/resolve.c \
	%D%/resolve.h \
	%D%/select.c \
	%D%/select.h \
	%D%/stacks.c \
	%D%/stacks.h \
	%D%/stream.c \
	%D%/stream.h \
	%D%/suggest.c \
	%D%/suggest.h \
	%D%/table.c \
	%D%/table.h \
	%D%/timeline.c \
	%D%/timeline.h \
	%D%/tree.c \
	%D%/tree.h \
	%D%/tree_view.c \
	%D%/tree_view.h \
	%D%/units.c \
	%D%/units.h \
	%D%/verify.c \
	%D%/verify.h
libanalyzer_la_LIBADD = libmtformat.la

mtdump_SOURCES = %D%/main.c
mtdump_LDADD = libanalyzer.la
