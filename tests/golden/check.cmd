mtdump check --max-peak=16M --max-drss="*=128M" traces/good-small.mtrace traces/good-archived.mtrace
echo "$?"
mtdump check --max-peak=12M --max-drss=load=10K --max-drss="*=100K" --max-growth=load=1K/call --max-growth=none=1K/call traces/good-small.mtrace
echo "$?"
mtdump check --baseline=traces/good-meta.mtrace --tolerance=1K traces/good-small.mtrace
