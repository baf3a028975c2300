mtdump check --help
