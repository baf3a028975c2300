# docs/: the specification, the reasons, the man pages, the documented example.

dist_man_MANS += \
	%D%/mtdump.1 \
	%D%/mtdump-rss-map.8 \
	%D%/mtrace-format.5

EXTRA_DIST += \
	%D%/examples/documented.py

dist_doc_DATA = \
	%D%/attribution.md \
	%D%/tutorial.md \
	%D%/design.md \
	%D%/format.md \
	%D%/html.md \
	%D%/html-dark.png \
	%D%/html-light.png \
	%D%/html-phone.png \
	%D%/performance.md \
	%D%/precision.md \
	%D%/recording.md \
	%D%/python.md \
	%D%/reliability.md \
	%D%/sql.md \
	%D%/mtdump-growth.svg \
	%D%/peers-3.12.svg \
	%D%/programs-3.12.svg \
	%D%/recorder-3.12.svg \
	%D%/recorder-growth-3.12.svg
