example && mtdump info example.mtrace
