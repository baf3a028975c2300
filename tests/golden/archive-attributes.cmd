cp traces/good-small.mtrace . && chmod 640 good-small.mtrace && touch -d 2026-01-31T12:00:00Z good-small.mtrace
mtdump archive --level=22 good-small.mtrace >/dev/null
stat -c '%a %Y' good-small.mtrace
ls -A
