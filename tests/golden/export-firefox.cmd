mtdump export --format=firefox --from "#1" --to "#12" traces/good-small.mtrace
mtdump export --format=firefox traces/good-empty.mtrace | tail -n 6
mtdump export --format=firefox traces/good-small.mtrace traces/good-meta.mtrace; echo $?
