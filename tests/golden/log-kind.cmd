mtdump log --min-drss 0 --kind c_except,return --to "#12" traces/good-small.mtrace
