mtdump log --min-drss 1M --drss-since=shown traces/good-small.mtrace | head -6
