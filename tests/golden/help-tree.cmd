mtdump tree --help
