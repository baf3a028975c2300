mtdump export --format=chrome --from "#1" --to "#12" traces/good-small.mtrace && mtdump export --fold-below=300K --max-events=10 traces/good-small.mtrace
