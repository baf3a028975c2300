example && { head -c 1000 example.mtrace; printf X; tail -c +1002 example.mtrace; } >bad && mtdump info bad | grep -e ended -e damaged -e peak
