mtdump log --min-drss 0 --types traces/good-meta.mtrace
