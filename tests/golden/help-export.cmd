mtdump export --help
