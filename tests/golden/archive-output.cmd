example
mtdump archive -o small.mtrace example.mtrace >/dev/null || exit
mtdump verify small.mtrace
mtdump log example.mtrace >was
mtdump log small.mtrace >is
cmp was is
mtdump archive -o small.mtrace example.mtrace
echo "again: $?"
mtdump archive -o - example.mtrace >/dev/null
ls -A
