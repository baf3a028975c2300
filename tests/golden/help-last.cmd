mtdump last --help
