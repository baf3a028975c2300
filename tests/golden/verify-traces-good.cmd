for trace in traces/good-*.mtrace; do mtdump verify "$trace" || echo "exit status $?"; done
