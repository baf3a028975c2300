mtdump none.mtrace
