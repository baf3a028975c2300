mtdump export; echo $?
mtdump export --format=gecko x; echo $?
mtdump export --format=pprof --min-dur=1us traces/good-small.mtrace; echo $?
mtdump export --min-dur=1m traces/good-small.mtrace; echo $?
mtdump export traces/good-small.mtrace traces/good-meta.mtrace; echo $?
mtdump export --format=chrome nothing.mtrace; echo $?
mtdump export -o out.json traces/bad-header-flip.mtrace; echo $?; ls
