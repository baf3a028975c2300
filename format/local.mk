# format/: bytes to records and back, for the recorder and for mtdump.

noinst_LTLIBRARIES += libmtformat.la

libmtformat_la_SOURCES =
libmtformat_la_LIBADD = $(ZSTD_LIBS)
