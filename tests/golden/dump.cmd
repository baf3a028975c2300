example && mtdump dump example.mtrace
