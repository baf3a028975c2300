mtdump log --layout=wide traces/good-small.mtrace; mtdump log --kind call,leave traces/good-small.mtrace; mtdump log --min-drss lots traces/good-small.mtrace
