mtdump log --min-drss 600K traces/good-small.mtrace
