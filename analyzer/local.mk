# analyzer/: mtdump.

noinst_LTLIBRARIES += libanalyzer.la

# All but main.c, so that unit tests can link it.
libanalyzer_la_SOURCES =
libanalyzer_la_LIBADD = libmtformat.la
