mtdump tree --inverted --min-share 0 traces/good-small.mtrace && mtdump tree --format=collapsed traces/good-small.mtrace && mtdump tree --format=ndjson --depth 1 traces/good-meta.mtrace
