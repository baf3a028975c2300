mtdump growth --help
