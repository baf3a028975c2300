mtdump info traces/good-tail-lost.mtrace
