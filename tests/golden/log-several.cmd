mtdump log --min-drss 1M traces/good-small.mtrace none.mtrace traces/good-one-record.mtrace
