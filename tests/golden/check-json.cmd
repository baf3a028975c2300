mtdump check --json --max-peak=12M --max-drss=load=100K --max-growth=parse=0/call --baseline=traces/good-meta.mtrace --baseline=traces/good-meta.mtrace traces/good-small.mtrace
