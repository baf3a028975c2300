for trace in traces/unsupported-*.mtrace; do mtdump verify "$trace"; echo "exit status $?"; done
