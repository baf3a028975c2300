mtdump log --min-drss 0 --clock=start --from 0.000010 --to 0.00001 traces/good-small.mtrace
