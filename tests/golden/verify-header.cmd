example && { head -c 100 example.mtrace; printf X; tail -c +102 example.mtrace; } >bad && mtdump verify bad
