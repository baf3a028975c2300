mtdump html --help
