# format/: bytes to records and back, for the recorder and for mtdump.

noinst_LTLIBRARIES += libmtformat.la

libmtformat_la_SOURCES = \
	format/block.c \
	format/block.h \
	format/block_rules.h \
	format/bytes.h \
	format/checksum.c \
	format/checksum.h \
	format/header.c \
	format/header.h \
	format/index.c \
	format/index.h \
	format/io.c \
	format/io.h \
	format/layout.h \
	format/names.c \
	format/names.h \
	format/reader.c \
	format/reader.h \
	format/record.c \
	format/record.h \
	format/recover.c \
	format/recover.h \
	format/seal.c \
	format/status.c \
	format/status.h \
	format/tail.c \
	format/tail.h \
	format/writer.c \
	format/writer.h
libmtformat_la_LIBADD = $(ZSTD_LIBS)
