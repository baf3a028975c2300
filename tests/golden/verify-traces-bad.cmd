for trace in traces/bad-*.mtrace; do mtdump verify "$trace" | head -n 4; done
