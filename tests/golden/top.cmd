example && mtdump top example.mtrace
