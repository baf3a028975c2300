mtdump log --min-drss 0 --lines --types traces/good-meta.mtrace
mtdump log --min-drss 0 --kind=line,except --format=csv traces/good-meta.mtrace
