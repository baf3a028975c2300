mtdump log --min-drss 0 --types --to "#8" traces/good-small.mtrace
