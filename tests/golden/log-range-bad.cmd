mtdump log --from soon traces/good-small.mtrace
