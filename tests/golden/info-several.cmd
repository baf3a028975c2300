example && mtdump info example.mtrace none example.mtrace | grep -v "^  "
