example && mtdump growth example.mtrace; mtdump growth --all --min-calls 4 --min-growth 0 --json traces/good-small.mtrace; mtdump growth --format=collapsed example.mtrace
