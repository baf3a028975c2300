# reader/: the CPython extension pymemtrace._reader, which reads traces for Python and for whatever reads Arrow.

noinst_LTLIBRARIES += libreader.la

# The half that knows no Python; unit tests link it.
libreader_la_SOURCES = \
	%D%/arrow.c \
	%D%/arrow.h \
	%D%/dictionary.c \
	%D%/dictionary.h \
	%D%/rows.c \
	%D%/rows.h
libreader_la_LIBADD = libevents.la

reader_python_sources = %D%/module.c
EXTRA_DIST += $(reader_python_sources)

if WITH_PYTHON
pymemtrace_LTLIBRARIES += _reader.la
_reader_la_SOURCES = $(reader_python_sources)
_reader_la_CPPFLAGS = $(AM_CPPFLAGS) $(PYTHON_CPPFLAGS)
_reader_la_LIBADD = libreader.la
_reader_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shrext $(EXT_SUFFIX) \
	-export-symbols-regex '^PyInit_'
endif
