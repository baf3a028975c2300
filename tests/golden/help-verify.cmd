mtdump verify --help
