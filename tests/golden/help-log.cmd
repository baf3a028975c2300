mtdump log --help
