mtdump --help
