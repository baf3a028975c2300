mtdump info traces/good-empty.mtrace
