mtdump info none.mtrace
