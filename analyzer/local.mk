# analyzer/: mtdump.

bin_PROGRAMS += mtdump
noinst_LTLIBRARIES += libevents.la libanalyzer.la

# The events of a trace, for the verbs and for reader/.
libevents_la_SOURCES = \
	%D%/digits.c \
	%D%/digits.h \
	%D%/filter.c \
	%D%/filter.h \
	%D%/message.c \
	%D%/message.h \
	%D%/options.c \
	%D%/options.h \
	%D%/pool.c \
	%D%/pool.h \
	%D%/progress.c \
	%D%/progress.h \
	%D%/resolve.c \
	%D%/resolve.h \
	%D%/select.c \
	%D%/select.h \
	%D%/stream.c \
	%D%/stream.h \
	%D%/suggest.c \
	%D%/suggest.h \
	%D%/tail_file.c \
	%D%/tail_file.h \
	%D%/timeline.c \
	%D%/timeline.h \
	%D%/units.c \
	%D%/units.h \
	%D%/words.c \
	%D%/words.h
libevents_la_LIBADD = libmtformat.la

# All but main.c, so that unit tests can link it.
libanalyzer_la_SOURCES = \
	%D%/archive.c \
	%D%/archive.h \
	%D%/bounds.c \
	%D%/bounds.h \
	%D%/charges.c \
	%D%/charges.h \
	%D%/chart.c \
	%D%/chart.h \
	%D%/cmd_archive.c \
	%D%/cmd_check.c \
	%D%/cmd_diff.c \
	%D%/cmd_dump.c \
	%D%/cmd_export.c \
	%D%/cmd_follow.c \
	%D%/cmd_growth.c \
	%D%/cmd_html.c \
	%D%/cmd_info.c \
	%D%/cmd_last.c \
	%D%/cmd_log.c \
	%D%/cmd_peak.c \
	%D%/cmd_repair.c \
	%D%/cmd_timeline.c \
	%D%/cmd_top.c \
	%D%/cmd_tree.c \
	%D%/cmd_verify.c \
	%D%/command.h \
	%D%/curve.c \
	%D%/curve.h \
	%D%/detail.c \
	%D%/detail.h \
	%D%/diff.c \
	%D%/diff.h \
	%D%/export.c \
	%D%/export.h \
	%D%/export_chrome.c \
	%D%/export_firefox.c \
	%D%/export_perfetto.c \
	%D%/export_pprof.c \
	%D%/export_speedscope.c \
	%D%/follow.c \
	%D%/follow.h \
	%D%/follow_view.c \
	%D%/follow_view.h \
	%D%/functions.c \
	%D%/functions.h \
	%D%/growth.c \
	%D%/growth.h \
	%D%/gzip.c \
	%D%/gzip.h \
	%D%/held.c \
	%D%/held.h \
	%D%/json.c \
	%D%/json.h \
	%D%/match.c \
	%D%/match.h \
	%D%/middles.c \
	%D%/middles.h \
	%D%/out.c \
	%D%/out.h \
	%D%/page.c \
	%D%/page.h \
	%D%/protobuf.c \
	%D%/protobuf.h \
	%D%/render.c \
	%D%/render.h \
	%D%/render_rows.c \
	%D%/render_text.c \
	%D%/render_text.h \
	%D%/repair.c \
	%D%/repair.h \
	%D%/replacement.c \
	%D%/replacement.h \
	%D%/screen.c \
	%D%/screen.h \
	%D%/shortlist.c \
	%D%/shortlist.h \
	%D%/slices.c \
	%D%/slices.h \
	%D%/spool.c \
	%D%/spool.h \
	%D%/stacks.c \
	%D%/stacks.h \
	%D%/table.c \
	%D%/table.h \
	%D%/tree.c \
	%D%/tree.h \
	%D%/tree_view.c \
	%D%/tree_view.h \
	%D%/verify.c \
	%D%/verify.h
libanalyzer_la_LIBADD = libevents.la $(ZLIB_LIBS) $(NCURSES_LIBS) -lm

# The page of mtdump html: a C string for each line of its sources. What a string takes for its own is escaped, and '?', of
# which two in a row could begin a trigraph.
html_scripts = \
	%D%/html/data.js \
	%D%/html/draw.js \
	%D%/html/timeline.js \
	%D%/html/flame.js \
	%D%/html/tables.js \
	%D%/html/page.js
html_parts = %D%/html/page.html.inc %D%/html/page.css.inc %D%/html/page.js.inc
EXTRA_DIST += %D%/html/page.html %D%/html/page.css $(html_scripts)
CLEANFILES += $(html_parts)
lines_to_strings = sed -e 's/[\\"?]/\\&/g' -e 's/^/"/' -e 's/$$/\\n",/'
%D%/page.lo: $(html_parts)
%D%/html/page.html.inc: %D%/html/page.html
	$(AM_V_GEN)$(MKDIR_P) %D%/html && $(lines_to_strings) $(srcdir)/%D%/html/page.html >$@.part && mv $@.part $@
%D%/html/page.css.inc: %D%/html/page.css
	$(AM_V_GEN)$(MKDIR_P) %D%/html && $(lines_to_strings) $(srcdir)/%D%/html/page.css >$@.part && mv $@.part $@
%D%/html/page.js.inc: $(html_scripts)
	$(AM_V_GEN)$(MKDIR_P) %D%/html && \
	(cd $(srcdir) && $(lines_to_strings) $(html_scripts)) >$@.part && mv $@.part $@

mtdump_SOURCES = %D%/main.c
mtdump_LDADD = libanalyzer.la

# They ask mtdump for its verbs and options when they are used, so there is nothing to make.
bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = %D%/completion/bash/mtdump
zshcompletiondir = $(datadir)/zsh/site-functions
dist_zshcompletion_DATA = %D%/completion/zsh/_mtdump
fishcompletiondir = $(datadir)/fish/vendor_completions.d
dist_fishcompletion_DATA = %D%/completion/fish/mtdump.fish
