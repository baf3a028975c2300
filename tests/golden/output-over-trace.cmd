example && mtdump info --force -o example.mtrace example.mtrace; mtdump verify example.mtrace
