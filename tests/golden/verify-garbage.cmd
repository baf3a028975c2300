example && { cat example.mtrace; echo garbage; } >bad && mtdump verify bad
