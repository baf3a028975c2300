mtdump log --min-drss 1M traces/good-tail-lost.mtrace | tail -2
