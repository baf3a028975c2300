example && mtdump peak example.mtrace
