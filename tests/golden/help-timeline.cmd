mtdump timeline --help
