mtdump export --format=pprof -o a.pb.gz traces/good-small.mtrace && mtdump export --format=pprof -o b.pb.gz traces/good-small.mtrace &&
cmp a.pb.gz b.pb.gz && mtdump export --format=perfetto traces/good-small.mtrace | od -An -tx1 | head -n 12
mtdump export --format=chrome traces/bad-payload-flip.mtrace | tail -n 2
mtdump export --format=speedscope - <traces/good-meta.mtrace | head -n 9
