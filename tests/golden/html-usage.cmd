mtdump html; echo $?
mtdump html traces/good-small.mtrace traces/good-meta.mtrace; echo $?
mtdump html --from=yesterday traces/good-small.mtrace; echo $?
mtdump html nothing.mtrace; echo $?
mtdump html -o out.html traces/bad-header-flip.mtrace; echo $?; ls
mtdump html -o out.html traces/good-small.mtrace; echo $?; ls
mtdump html -o out.html traces/good-small.mtrace; echo $?
mtdump html -o out.html --force traces/bad-payload-flip.mtrace; echo $?
