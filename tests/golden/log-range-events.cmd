mtdump log --min-drss 0 --from "#5" --to "#7" traces/good-small.mtrace
