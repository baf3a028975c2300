mtdump log --min-drss 1M traces/good-tail.mtrace
