mtdump log --clock=wall --to "#x" traces/good-small.mtrace
