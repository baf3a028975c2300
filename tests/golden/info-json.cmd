example && mtdump info --json example.mtrace
