mtdump log --min-drss 1M traces/bad-hole.mtrace
