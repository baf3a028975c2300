example && mtdump verify example.mtrace
