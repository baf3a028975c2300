# docs/: the specification, the reasons, the man pages, the documented example.

dist_man_MANS +=

EXTRA_DIST += \
	%D%/examples/documented.py
