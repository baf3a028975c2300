mtdump repair --help
