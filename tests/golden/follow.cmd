mtdump follow traces/good-small.mtrace && mtdump follow --once traces/good-small.mtrace && mtdump follow --once traces/good-tail.mtrace
mtdump follow traces/bad-payload-flip.mtrace; echo $?
