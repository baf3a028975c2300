mtdump log --min-drss 0 --function "a*" --to "#12" traces/good-small.mtrace
