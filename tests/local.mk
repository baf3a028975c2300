# tests/: everything that "make check" runs, in any order, from any build directory.
#
# What a test finds in its environment (whole paths, as tests change directory):
#     TOP_SRCDIR TOP_BUILDDIR   the two trees
#     MTDUMP                    the mtdump to test
#     PYTHON PYTHONPATH         the interpreter and where it finds pymemtrace (unset without Python)
#     SANITIZER_PRELOAD         the library to LD_PRELOAD into an interpreter (empty without ASan)

unit_tests = \
	%D%/unit/test_archive \
	%D%/unit/test_arrow \
	%D%/unit/test_block \
	%D%/unit/test_bounds \
	%D%/unit/test_bytes \
	%D%/unit/test_charges \
	%D%/unit/test_chart \
	%D%/unit/test_checksum \
	%D%/unit/test_clock \
	%D%/unit/test_curve \
	%D%/unit/test_detail \
	%D%/unit/test_dictionary \
	%D%/unit/test_diff \
	%D%/unit/test_digits \
	%D%/unit/test_export \
	%D%/unit/test_filter \
	%D%/unit/test_flusher \
	%D%/unit/test_follow \
	%D%/unit/test_follow_view \
	%D%/unit/test_functions \
	%D%/unit/test_growth \
	%D%/unit/test_guard \
	%D%/unit/test_gzip \
	%D%/unit/test_header \
	%D%/unit/test_held \
	%D%/unit/test_host \
	%D%/unit/test_id_table \
	%D%/unit/test_index \
	%D%/unit/test_io \
	%D%/unit/test_json \
	%D%/unit/test_line_table \
	%D%/unit/test_match \
	%D%/unit/test_message \
	%D%/unit/test_middles \
	%D%/unit/test_names \
	%D%/unit/test_options \
	%D%/unit/test_out \
	%D%/unit/test_page \
	%D%/unit/test_pool \
	%D%/unit/test_progress \
	%D%/unit/test_protobuf \
	%D%/unit/test_reader \
	%D%/unit/test_record \
	%D%/unit/test_recover \
	%D%/unit/test_render_rows \
	%D%/unit/test_render_text \
	%D%/unit/test_repair \
	%D%/unit/test_replacement \
	%D%/unit/test_resolve \
	%D%/unit/test_ring \
	%D%/unit/test_rows \
	%D%/unit/test_rss \
	%D%/unit/test_screen \
	%D%/unit/test_select \
	%D%/unit/test_session \
	%D%/unit/test_shortlist \
	%D%/unit/test_singlestep \
	%D%/unit/test_slices \
	%D%/unit/test_spool \
	%D%/unit/test_stacks \
	%D%/unit/test_status \
	%D%/unit/test_stream \
	%D%/unit/test_strings \
	%D%/unit/test_suggest \
	%D%/unit/test_summary \
	%D%/unit/test_table \
	%D%/unit/test_tail \
	%D%/unit/test_tail_file \
	%D%/unit/test_timeline \
	%D%/unit/test_traces \
	%D%/unit/test_tree \
	%D%/unit/test_tree_view \
	%D%/unit/test_units \
	%D%/unit/test_verify \
	%D%/unit/test_words \
	%D%/unit/test_writer
fuzz_targets = \
	%D%/fuzz/fuzz_block \
	%D%/fuzz/fuzz_escape \
	%D%/fuzz/fuzz_file \
	%D%/fuzz/fuzz_names \
	%D%/fuzz/fuzz_roundtrip \
	%D%/fuzz/fuzz_tail

# Unit tests (Check), one program a module, and what they share.
check_LTLIBRARIES += libunit.la
libunit_la_SOURCES = \
	%D%/unit/capture.h \
	%D%/unit/example.h \
	%D%/unit/failing_alloc.h \
	%D%/unit/line_table_cases.h \
	%D%/unit/sample.c \
	%D%/unit/sample.h \
	%D%/unit/scratch_dir.h \
	%D%/unit/suite.h
LDADD = libunit.la libreader.la libanalyzer.la librecorder.la libmtformat.la $(CHECK_LIBS) $(ZSTD_LIBS) $(ZLIB_LIBS)
AM_CPPFLAGS += $(CHECK_CFLAGS)

# Programs whose allocations fail on demand (failing_alloc.h).
failing_alloc_ldflags = -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc
%C%_unit_test_block_LDFLAGS = $(AM_LDFLAGS) $(failing_alloc_ldflags)
%C%_unit_test_match_LDFLAGS = $(AM_LDFLAGS) $(failing_alloc_ldflags)
%C%_unit_test_names_LDFLAGS = $(AM_LDFLAGS) $(failing_alloc_ldflags)
%C%_unit_test_io_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=pread -Wl,--wrap=pwritev -Wl,--wrap=ftruncate
%C%_unit_test_tail_LDFLAGS = $(AM_LDFLAGS) $(failing_alloc_ldflags)
%C%_unit_test_reader_LDFLAGS = $(AM_LDFLAGS) $(failing_alloc_ldflags)
%C%_unit_test_stream_LDFLAGS = $(AM_LDFLAGS) $(failing_alloc_ldflags) -Wl,--wrap=mt_source_file

if HAVE_CHECK
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
else
check_DATA += check-is-missing
check-is-missing:
	@echo 'make check: Check not found by configure; on Debian: apt-get install check' >&2; exit 1
endif

# Hostile input, by the rows of docs/reliability.md: sweeps over all bytes of a trace.  Checks of the tool as a
# whole are in tests/faults/test_hostile.py.
fault_tests = %D%/faults/test_sweep
%C%_faults_test_sweep_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=message_note_status -Wl,--wrap=message_note \
	-Wl,--wrap=message_error -Wl,--wrap=message_trace_error
if HAVE_CHECK
check_PROGRAMS += $(fault_tests)
TESTS += $(fault_tests)
endif

# Whole runs of mtdump on hostile input: Python, but no recorder.
if WITH_PYTHON
TESTS += %D%/faults/test_hostile.py
endif
EXTRA_DIST += %D%/faults/test_hostile.py

# Fuzz targets.  Linked with a driver that replays files they run in "make check"; with
# --enable-fuzzing, libFuzzer drives them.  A target NAME needs two lines here,
#     %C%_fuzz_fuzz_NAME_SOURCES = %D%/fuzz/fuzz_NAME.c $(fuzz_driver)
#     %C%_fuzz_fuzz_NAME_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
# and a corpus in tests/fuzz/corpus/NAME.
if FUZZING
fuzz_driver =
fuzz_replay_flags = -runs=0
else
fuzz_driver = %D%/fuzz/replay.c
fuzz_replay_flags =
endif
check_PROGRAMS += $(fuzz_targets)
fuzz-targets: $(fuzz_targets)
.PHONY: fuzz-targets
%C%_fuzz_fuzz_block_SOURCES = %D%/fuzz/fuzz_block.c %D%/fuzz/fuzz.h $(fuzz_driver)
%C%_fuzz_fuzz_block_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
%C%_fuzz_fuzz_file_SOURCES = %D%/fuzz/fuzz_file.c %D%/fuzz/fuzz.h $(fuzz_driver)
%C%_fuzz_fuzz_file_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
%C%_fuzz_fuzz_names_SOURCES = %D%/fuzz/fuzz_names.c %D%/fuzz/fuzz.h $(fuzz_driver)
%C%_fuzz_fuzz_names_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
%C%_fuzz_fuzz_escape_SOURCES = %D%/fuzz/fuzz_escape.c %D%/fuzz/fuzz.h $(fuzz_driver)
%C%_fuzz_fuzz_escape_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
%C%_fuzz_fuzz_roundtrip_SOURCES = %D%/fuzz/fuzz_roundtrip.c %D%/fuzz/fuzz.h $(fuzz_driver)
%C%_fuzz_fuzz_roundtrip_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
%C%_fuzz_fuzz_tail_SOURCES = %D%/fuzz/fuzz_tail.c %D%/fuzz/fuzz.h $(fuzz_driver)
%C%_fuzz_fuzz_tail_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)

# The seeds are in the tree; "make corpus" makes them anew from the test traces.
EXTRA_PROGRAMS += %D%/fuzz/make_corpus
CLEANFILES += %D%/fuzz/make_corpus
corpus: %D%/fuzz/make_corpus
	$(EMULATOR) %D%/fuzz/make_corpus $(srcdir)/%D%/traces $(srcdir)/%D%/fuzz/corpus
.PHONY: corpus
EXTRA_DIST += %D%/fuzz/corpus %D%/fuzz/replay.c
EXTRA_DIST += %D%/fuzz/run.sh
EXTRA_DIST += %D%/unit/make_line_table_cases.py

# Benches, for a number before and after: "make benches" builds them.
benches = %D%/bench/bench_block %D%/bench/bench_dump
%C%_bench_bench_block_SOURCES = %D%/bench/bench_block.c %D%/bench/program.c %D%/bench/program.h
%C%_bench_bench_block_LDADD = $(LDADD) -lm
%C%_bench_bench_dump_SOURCES = %D%/bench/bench_dump.c %D%/bench/program.c %D%/bench/program.h
%C%_bench_bench_dump_LDADD = $(LDADD) -lm
EXTRA_PROGRAMS += %D%/bench/bench_block
CLEANFILES += %D%/bench/bench_block
# A test tries the scripts, with tiny counts.
check_PROGRAMS += %D%/bench/bench_dump
EXTRA_DIST += \
	%D%/bench/README.md \
	%D%/bench/answers.py \
	%D%/bench/bench_dump.py \
	%D%/bench/bench_programs.py \
	%D%/bench/bench_recorder.py \
	%D%/bench/emptyhook.c \
	%D%/bench/plot.py \
	%D%/bench/precision.py \
	%D%/bench/programs.py \
	%D%/bench/report.py
benches: $(benches)
.PHONY: benches

# Against bars: non-zero when one is missed. Never part of "make check". Each runs, whatever the others find.
bench_environment = \
	MTDUMP='$(mtdump_to_test)' BENCH_DUMP='$(abs_top_builddir)/%D%/bench/bench_dump' PYTHONDONTWRITEBYTECODE=1 \
	PYTHONPATH='$(abs_top_builddir):$(abs_top_builddir)/bench'
bench:
	@failed=; for bench in bench-dump bench-recorder bench-programs; do \
		$(MAKE) $(AM_MAKEFLAGS) $$bench || failed="$$failed $$bench"; \
	done; test -z "$$failed" || { echo "make bench: a bar was missed:$$failed" >&2; exit 1; }
bench-dump: $(benches) mtdump
	$(MKDIR_P) bench
	$(bench_environment) $(PYTHON) $(srcdir)/%D%/bench/bench_dump.py \
		--json bench/dump.json --svg bench/dump.svg $(BENCH_DUMP_FLAGS)
if WITH_PYTHON
bench-recorder: all $(benches)
	$(MKDIR_P) bench
	$(CC) -O2 -shared -fPIC $(PYTHON_CPPFLAGS) -o bench/emptyhook$(EXT_SUFFIX) $(srcdir)/%D%/bench/emptyhook.c
	$(bench_environment) $(PYTHON) $(srcdir)/%D%/bench/bench_recorder.py \
		--json bench/recorder.json --svg bench/recorder.svg --svg-growth bench/recorder-growth.svg $(BENCH_FLAGS)
bench-programs: all $(benches)
	$(MKDIR_P) bench
	$(bench_environment) $(PYTHON) $(srcdir)/%D%/bench/bench_programs.py \
		--json bench/programs.json --svg bench/programs.svg --svg-peers bench/peers.svg $(BENCH_PROGRAMS_FLAGS)
else
bench-recorder bench-programs:
	@echo 'make bench: without Python there is no recorder to measure' >&2; exit 1
endif
.PHONY: bench bench-dump bench-recorder bench-programs

# Golden runs of mtdump, checks of the tree, end-to-end tests.
lint_tests = \
	%D%/lint/arrows.sh \
	%D%/lint/exports.sh \
	%D%/lint/headers.sh \
	%D%/lint/listed.sh \
	%D%/lint/text.sh
golden_tests = \
	%D%/golden/completion.sh \
	%D%/golden/man.sh \
	%D%/golden/run.sh \
	%D%/traces/check.sh
python_tests = \
	%D%/python/test_codes.py \
	%D%/python/test_decoders_agree.py \
	%D%/python/test_documented.py \
	%D%/python/test_environment.py \
	%D%/python/test_exceptions.py \
	%D%/python/test_footprint.py \
	%D%/python/test_fork.py \
	%D%/python/test_free_threaded.py \
	%D%/python/test_generators.py \
	%D%/python/test_growth.py \
	%D%/python/test_interpreters.py \
	%D%/python/test_kill.py \
	%D%/python/test_lines.py \
	%D%/python/test_log_rules.py \
	%D%/python/test_names.py \
	%D%/python/test_oracle.py \
	%D%/python/test_precision.py \
	%D%/python/test_profile.py \
	%D%/python/test_reader.py \
	%D%/python/test_record.py \
	%D%/python/test_recording.py \
	%D%/python/test_recursion.py \
	%D%/python/test_runner.py \
	%D%/python/test_threads.py \
	%D%/python/test_top_tree.py \
	%D%/python/test_tutorial.py
# What mtdump makes of traces; they record programs, but hardly depend on who runs them.
reading_tests = \
	%D%/python/test_bench.py \
	%D%/python/test_check.py \
	%D%/python/test_diff.py \
	%D%/python/test_export.py \
	%D%/python/test_follow.py \
	%D%/python/test_format_doc.py \
	%D%/python/test_html.py \
	%D%/python/test_last.py \
	%D%/python/test_log_forms.py \
	%D%/python/test_repair.py \
	%D%/python/test_rss_map.py \
	%D%/python/test_timeline.py
# What can go wrong while a program is recorded; docs/reliability.md has the list.
recorder_fault_tests = \
	%D%/faults/test_budget.py \
	%D%/faults/test_cut.py \
	%D%/faults/test_debuggers.py \
	%D%/faults/test_descriptors.py \
	%D%/faults/test_disk.py \
	%D%/faults/test_memory.py \
	%D%/faults/test_profilers.py
# The same between the recorder and the kernel, where no interpreter is.
kernel_fault_tests = \
	%D%/faults/test_pairs.py \
	%D%/faults/test_surroundings.py

TESTS += $(lint_tests) $(golden_tests) %D%/fuzz/run.sh
if WITH_PYTHON
TESTS += $(python_tests) $(reading_tests) $(recorder_fault_tests) $(kernel_fault_tests)
endif
# Those that may end otherwise with another interpreter; what mtdump and the C parts do does not depend on it.
check-interpreter: all
	$(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS='%D%/lint/exports.sh $(python_tests) $(recorder_fault_tests)'
# Those of an archive: that nothing is missing in it. All others ask for no more files.
check_archive_tests = $(lint_tests) $(golden_tests) $(unit_tests) %D%/fuzz/run.sh %D%/python/test_documented.py
.PHONY: check-interpreter
EXTRA_DIST += %D%/python/run.py $(lint_tests) $(golden_tests) $(python_tests) $(reading_tests) $(recorder_fault_tests)
EXTRA_DIST += $(kernel_fault_tests)
EXTRA_DIST += %D%/faults/faults.py %D%/faults/interpose.c
# Their expectations lie beside them.
EXTRA_DIST += %D%/golden

# The test traces are in the tree; "make traces" makes them anew.
EXTRA_DIST += %D%/traces
EXTRA_PROGRAMS += %D%/traces/make_traces
CLEANFILES += %D%/traces/make_traces
traces: %D%/traces/make_traces
	$(EMULATOR) %D%/traces/make_traces $(srcdir)/%D%/traces
.PHONY: traces
EXTRA_DIST += \
	%D%/python/make_example.py \
	%D%/python/pages.py \
	%D%/python/realprograms.py \
	%D%/python/refdecoder.py \
	%D%/python/support.py \
	%D%/python/tracebuilder.py
# Ways to install, which runtests tries.
EXTRA_DIST += %D%/install
# Viewers' own code, which runtests fetches and runs.
EXTRA_DIST += %D%/viewers
# The tools that recording works in, which runtests fetches.
EXTRA_DIST += %D%/tools
# What reads traces as tables, likewise.
EXTRA_DIST += %D%/tables
# Logs, programs and what else tests compare with.
EXTRA_DIST += %D%/data

# A cross build's mtdump is started through the emulator, by a script of the same name.
if EMULATED
mtdump_to_test = $(abs_top_builddir)/%D%/emulated/mtdump
check_DATA += %D%/emulated/mtdump
CLEANFILES += %D%/emulated/mtdump
%D%/emulated/mtdump: Makefile
	$(AM_V_GEN)$(MKDIR_P) %D%/emulated && \
	printf '#!/bin/sh\nexec %s "%s" "$$@"\n' '$(EMULATOR)' '$(abs_top_builddir)/mtdump' >$@ && \
	chmod +x $@
else
mtdump_to_test = $(abs_top_builddir)/mtdump
endif

TEST_EXTENSIONS = .sh .py
LOG_COMPILER = $(EMULATOR)
SH_LOG_COMPILER = $(SHELL)
PY_LOG_COMPILER = $(PYTHON)
AM_PY_LOG_FLAGS = $(top_srcdir)/%D%/python/run.py
AM_TESTS_ENVIRONMENT = \
	TOP_SRCDIR='$(abs_top_srcdir)'; \
	TOP_BUILDDIR='$(abs_top_builddir)'; \
	MTDUMP='$(mtdump_to_test)'; \
	CC='$(CC)'; \
	CHECK_CFLAGS='$(CHECK_CFLAGS)'; \
	EMULATOR='$(EMULATOR)'; \
	EXT_SUFFIX='$(EXT_SUFFIX)'; \
	FUZZ_REPLAY_FLAGS='$(fuzz_replay_flags)'; \
	FUZZ_TARGETS='$(fuzz_targets)'; \
	NM='$(NM)'; \
	PYTHON='$(PYTHON)'; \
	PYTHON_CPPFLAGS='$(PYTHON_CPPFLAGS)'; \
	PYTHONDONTWRITEBYTECODE=1; \
	PYTHONPATH='$(abs_top_builddir)'; \
	SANITIZER_PRELOAD='$(SANITIZER_PRELOAD)'; \
	export TOP_SRCDIR TOP_BUILDDIR MTDUMP CC CHECK_CFLAGS EMULATOR EXT_SUFFIX FUZZ_REPLAY_FLAGS FUZZ_TARGETS NM \
		PYTHON PYTHON_CPPFLAGS PYTHONDONTWRITEBYTECODE PYTHONPATH SANITIZER_PRELOAD;
