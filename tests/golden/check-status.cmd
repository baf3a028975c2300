mtdump check --max-peak=1G traces/good-small.mtrace traces/bad-payload-flip.mtrace
echo "$?"
mtdump check --max-peak=1 traces/bad-payload-flip.mtrace
echo "$?"
mtdump check --max-drss=f=x traces/good-small.mtrace
echo "$?"
mtdump check --max-growth=f=1K traces/good-small.mtrace
echo "$?"
mtdump check traces/good-small.mtrace
