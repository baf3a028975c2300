example && mtdump peak --json example.mtrace
