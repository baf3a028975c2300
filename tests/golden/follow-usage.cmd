mtdump follow; echo $?
mtdump follow a b; echo $?
mtdump follow - </dev/null; echo $?
mtdump follow -n 1ms a; echo $?
mtdump follow nothing.mtrace; echo $?
mtdump follow traces/README.md; echo $?
mtdump follow --once traces; echo $?
mtdump follow traces/unsupported-major.mtrace; echo $?
