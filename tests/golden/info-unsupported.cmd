mtdump info traces/unsupported-flag.mtrace traces/unsupported-major.mtrace
