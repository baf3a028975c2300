cp traces/good-tail-lost.mtrace traces/good-tail-lost.mtrace.tail . && ln -s good-tail-lost.mtrace link
mtdump repair -o whole.mtrace good-tail-lost.mtrace; echo "status $?"
mtdump repair -o whole.mtrace good-tail-lost.mtrace; echo "exists: $?"
mtdump repair link; echo "link: $?"
mtdump repair -o - good-tail-lost.mtrace; echo "standard output: $?"
mtdump repair -; echo "standard input: $?"
mtdump verify whole.mtrace
cmp good-tail-lost.mtrace traces/good-tail-lost.mtrace
cmp good-tail-lost.mtrace.tail traces/good-tail-lost.mtrace.tail
ls -A
# A trace that has lost definitions which its tail repeats.
trace=traces/good-tail-overlap.mtrace
{ head -c 160 $trace; tail -c +$((160 + 48 + $(od -An -tu8 -j184 -N8 $trace) + 1)) $trace; } >cut.mtrace
cp $trace.tail cut.mtrace.tail
mtdump log cut.mtrace >was 2>/dev/null
mtdump repair cut.mtrace; echo "status $?"
mtdump log cut.mtrace >is && cmp was is
mtdump verify cut.mtrace
