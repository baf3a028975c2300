mtdump log --layout=fixed --min-drss=64K traces/good-small.mtrace | head -4
