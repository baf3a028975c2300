mtdump diff --json -n 1 --exit-code traces/good-small.mtrace traces/good-lost.mtrace -- traces/good-meta.mtrace && exit 9
mtdump diff --exit-code --min-change=64K --format=csv --by file traces/good-small.mtrace traces/good-meta.mtrace
