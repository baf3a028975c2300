# recorder/: the CPython extension pymemtrace.cPyMemTrace and the package around it.

noinst_LTLIBRARIES += librecorder.la

# The half that knows no Python; unit tests link it.
librecorder_la_SOURCES = \
	%D%/clock.c \
	%D%/clock.h \
	%D%/flusher.c \
	%D%/flusher.h \
	%D%/guard.c \
	%D%/guard.h \
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
	%D%/rss_map.c \
	%D%/rss_map.h \
	%D%/rss_statm.c \
	%D%/session.c \
	%D%/session.h \
	%D%/strings.c \
	%D%/strings.h \
	%D%/summary.c \
	%D%/summary.h
librecorder_la_LIBADD = libmtformat.la

# The administrator's half of the "map" source.
sbin_PROGRAMS += mtdump-rss-map
mtdump_rss_map_SOURCES = \
	%D%/rss_map.h \
	%D%/rss_map_load.c

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
	%D%/interpreters.c \
	%D%/interpreters.h \
	%D%/module.c \
	%D%/recording.c \
	%D%/recording.h

pymemtrace_files = \
	%D%/pymemtrace/__init__.py \
	%D%/pymemtrace/__init__.pyi \
	%D%/pymemtrace/__main__.py \
	%D%/pymemtrace/_environment.py \
	%D%/pymemtrace/_ipython.py \
	%D%/pymemtrace/_mtdump.py \
	%D%/pymemtrace/_reader.pyi \
	%D%/pymemtrace/_record.py \
	%D%/pymemtrace/cPyMemTrace.pyi \
	%D%/pymemtrace/py.typed \
	%D%/pymemtrace/pytest_plugin.py

EXTRA_DIST += $(recorder_python_sources) $(pymemtrace_files) %D%/pymemtrace.pth %D%/entry_points.txt

if WITH_PYTHON
pymemtracedir = $(PYTHON_INSTALL_DIR)/pymemtrace
pymemtrace_LTLIBRARIES = cPyMemTrace.la
pymemtrace_DATA = $(pymemtrace_files)
# Beside the package: it makes every interpreter look for PYMEMTRACE in its environment.
pymemtrace_sitedir = $(PYTHON_INSTALL_DIR)
pymemtrace_site_DATA = %D%/pymemtrace.pth
# The distribution, as pip would install it: pytest looks there for its plugins.  Without a list of files, so that pip
# does not uninstall what "make install" installed.
pymemtrace_infodir = $(PYTHON_INSTALL_DIR)/mtdump-$(VERSION).dist-info
pymemtrace_info_DATA = %D%/INSTALLER %D%/METADATA %D%/entry_points.txt
CLEANFILES += %D%/INSTALLER %D%/METADATA
%D%/METADATA: Makefile
	$(AM_V_GEN)$(MKDIR_P) %D% && printf 'Metadata-Version: 2.1\nName: mtdump\nVersion: %s\n' '$(VERSION)' >$@
%D%/INSTALLER: Makefile
	$(AM_V_GEN)$(MKDIR_P) %D% && echo make >$@

cPyMemTrace_la_SOURCES = $(recorder_python_sources)
cPyMemTrace_la_CPPFLAGS = $(AM_CPPFLAGS) $(PYTHON_CPPFLAGS)
cPyMemTrace_la_LIBADD = librecorder.la
cPyMemTrace_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shrext $(EXT_SUFFIX) \
	-export-symbols-regex '^PyInit_'

# pymemtrace/ in the build directory is the package as it will be installed, so that
# PYTHONPATH=BUILD-DIRECTORY runs it from there.
all-local: pymemtrace/stamp
pymemtrace/stamp: $(pymemtrace_LTLIBRARIES) $(pymemtrace_files)
	$(AM_V_GEN)rm -rf pymemtrace && $(MKDIR_P) pymemtrace && \
	for file in $(pymemtrace_files); do \
		$(LN_S) "$(abs_top_srcdir)/$$file" pymemtrace/ || exit 1; \
	done && \
	for module in $(pymemtrace_LTLIBRARIES:.la=$(EXT_SUFFIX)); do \
		$(LN_S) "$(abs_top_builddir)/.libs/$$module" pymemtrace/ || exit 1; \
	done && \
	touch $@

clean-local:
	rm -rf pymemtrace

# Python needs no .la file, and whoever ran the package as root left byte code.
install-data-hook:
	for module in $(pymemtrace_LTLIBRARIES); do rm -f "$(DESTDIR)$(pymemtracedir)/$$module"; done
uninstall_directories += "$(DESTDIR)$(pymemtracedir)" "$(DESTDIR)$(pymemtrace_infodir)"
uninstall_hooks += uninstall-byte-code
uninstall-byte-code:
	for module in $(pymemtrace_LTLIBRARIES:.la=$(EXT_SUFFIX)); do \
		rm -f "$(DESTDIR)$(pymemtracedir)/$$module"; \
	done
	rm -rf "$(DESTDIR)$(pymemtracedir)/__pycache__"
endif
