mtdump traces/good-small.mtrace | head -12
