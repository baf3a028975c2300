# docs/: the specification, the reasons, the man pages, the documented example.

dist_man_MANS += \
	%D%/mtdump.1 \
	%D%/mtrace-format.5

EXTRA_DIST += \
	%D%/examples/documented.py

dist_doc_DATA = \
	%D%/attribution.md \
	%D%/design.md \
	%D%/format.md \
	%D%/performance.md \
	%D%/precision.md \
	%D%/recorder-3.12.svg
