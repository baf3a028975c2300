# recorder/: the CPython extension pymemtrace.cPyMemTrace and the package around it.

noinst_LTLIBRARIES += librecorder.la

# The half that knows no Python; unit tests link it.
librecorder_la_SOURCES = \
	%D%/clock.c \
	%D%/clock.h \
	%D%/flusher.c \
	%D%/flusher.h \
	%D%/host.c \
	%D%/host.h \
	%D%/id_table.c \
	%D%/id_table.h \
	%D%/line_table.c \
	%D%/line_table.h \
	%D%/ring.h \
	%D%/rss.c \
	%D%/rss.h \
	%D%/rss_faults.c \
	%D%/rss_gate.c \
	%D%/rss_statm.c \
	%D%/session.c \
	%D%/session.h \
	%D%/strings.c \
	%D%/strings.h \
	%D%/summary.c \
	%D%/summary.h
librecorder_la_LIBADD = libmtformat.la

# The half that does: the only files that see Python.h.
recorder_python_sources = \
	%D%/code_ids.c \
	%D%/code_ids.h \
	%D%/fork.c \
	%D%/fork.h \
	%D%/frame.h \
	%D%/hook.h \
	%D%/hook_monitoring.c \
	%D%/hook_profile.c \
	%D%/module.c \
	%D%/recording.c \
	%D%/recording.h

pymemtrace_files = \
	%D%/pymemtrace/__init__.py \
	%D%/pymemtrace/__main__.py \
	%D%/pymemtrace/cPyMemTrace.pyi \
	%D%/pymemtrace/py.typed

EXTRA_DIST += $(recorder_python_sources) $(pymemtrace_files)

if WITH_PYTHON
pymemtracedir = $(PYTHON_INSTALL_DIR)/pymemtrace
pymemtrace_LTLIBRARIES = cPyMemTrace.la
pymemtrace_DATA = $(pymemtrace_files)

cPyMemTrace_la_SOURCES = $(recorder_python_sources)
cPyMemTrace_la_CPPFLAGS = $(AM_CPPFLAGS) $(PYTHON_CPPFLAGS)
cPyMemTrace_la_LIBADD = librecorder.la
cPyMemTrace_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shrext $(EXT_SUFFIX) \
	-export-symbols-regex '^PyInit_'

# pymemtrace/ in the build directory is the package as it will be installed, so that
# PYTHONPATH=BUILD-DIRECTORY runs it from there.
all-local: pymemtrace/stamp
pymemtrace/stamp: cPyMemTrace.la $(pymemtrace_files)
	$(AM_V_GEN)rm -rf pymemtrace && $(MKDIR_P) pymemtrace && \
	for file in $(pymemtrace_files); do \
		$(LN_S) "$(abs_top_srcdir)/$$file" pymemtrace/ || exit 1; \
	done && \
	$(LN_S) "$(abs_top_builddir)/.libs/cPyMemTrace$(EXT_SUFFIX)" pymemtrace/ && \
	touch $@

clean-local:
	rm -rf pymemtrace

# Python needs no .la file, and whoever ran the package as root left byte code.
install-data-hook:
	rm -f "$(DESTDIR)$(pymemtracedir)/cPyMemTrace.la"
uninstall-hook:
	rm -f "$(DESTDIR)$(pymemtracedir)/cPyMemTrace$(EXT_SUFFIX)"
	rm -rf "$(DESTDIR)$(pymemtracedir)/__pycache__"
	-rmdir "$(DESTDIR)$(pymemtracedir)" 2>/dev/null
endif
