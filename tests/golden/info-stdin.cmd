example && mtdump info - <example.mtrace | head -n 3
