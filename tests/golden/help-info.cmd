mtdump info --help
