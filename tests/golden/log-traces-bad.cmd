for t in traces/bad-*.mtrace traces/unsupported-*.mtrace; do mtdump log --min-drss 0 "$t" >log 2>/dev/null; echo "${t##*/} $? $(wc -l <log)"; done
