mtdump log --min-drss 0 traces/good-lost.mtrace | grep -B1 -A1 LOST
