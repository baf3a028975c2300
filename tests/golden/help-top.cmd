mtdump top --help
