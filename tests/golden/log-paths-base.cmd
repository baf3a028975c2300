mtdump log --min-drss 0 --paths=base --layout=fixed traces/good-names.mtrace | cut -c36-80 | sort -u
