# tests/: everything that "make check" runs, in any order, from any build directory.
#
# What a test finds in its environment (whole paths, as tests change directory):
#     TOP_SRCDIR TOP_BUILDDIR   the two trees
#     MTDUMP                    the mtdump to test
#     PYTHON PYTHONPATH         the interpreter and where it finds pymemtrace (unset without Python)
#     SANITIZER_PRELOAD         the library to LD_PRELOAD into an interpreter (empty without ASan)

unit_tests =
fuzz_targets =

# Unit tests (Check), one program a module.
LDADD = libanalyzer.la librecorder.la libmtformat.la $(CHECK_LIBS) $(ZSTD_LIBS)
AM_CPPFLAGS += $(CHECK_CFLAGS)

if HAVE_CHECK
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
else
check_DATA += check-is-missing
check-is-missing:
	@echo 'make check: Check not found by configure; on Debian: apt-get install check' >&2; exit 1
endif

# Golden runs of mtdump, checks of the tree, end-to-end tests.
lint_tests = \
	tests/lint/arrows.sh \
	tests/lint/exports.sh \
	tests/lint/headers.sh \
	tests/lint/text.sh
golden_tests =
python_tests =

TESTS += $(lint_tests) $(golden_tests)
if WITH_PYTHON
TESTS += $(python_tests)
endif
EXTRA_DIST += tests/python/run.py $(lint_tests) $(golden_tests) $(python_tests)

TEST_EXTENSIONS = .sh .py
LOG_COMPILER = $(EMULATOR)
SH_LOG_COMPILER = $(SHELL)
PY_LOG_COMPILER = $(PYTHON)
AM_PY_LOG_FLAGS = $(top_srcdir)/tests/python/run.py
AM_TESTS_ENVIRONMENT = \
	TOP_SRCDIR='$(abs_top_srcdir)'; \
	TOP_BUILDDIR='$(abs_top_builddir)'; \
	MTDUMP='$(abs_top_builddir)/mtdump'; \
	CC='$(CC)'; \
	CHECK_CFLAGS='$(CHECK_CFLAGS)'; \
	EMULATOR='$(EMULATOR)'; \
	EXT_SUFFIX='$(EXT_SUFFIX)'; \
	NM='$(NM)'; \
	PYTHON='$(PYTHON)'; \
	PYTHON_CPPFLAGS='$(PYTHON_CPPFLAGS)'; \
	PYTHONDONTWRITEBYTECODE=1; \
	PYTHONPATH='$(abs_top_builddir)'; \
	SANITIZER_PRELOAD='$(SANITIZER_PRELOAD)'; \
	export TOP_SRCDIR TOP_BUILDDIR MTDUMP CC CHECK_CFLAGS EMULATOR EXT_SUFFIX NM PYTHON PYTHON_CPPFLAGS \
		PYTHONDONTWRITEBYTECODE PYTHONPATH SANITIZER_PRELOAD;
