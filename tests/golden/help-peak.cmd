mtdump peak --help
