mtdump log --min-drss 0 traces/good-extremes.mtrace
