mtdump follow --help
