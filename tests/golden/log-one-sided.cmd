mtdump log --min-growth 64K --to "#30" traces/good-small.mtrace; mtdump log --min-release 64K traces/good-small.mtrace
