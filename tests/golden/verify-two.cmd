example && cat example.mtrace example.mtrace >two && mtdump verify two
