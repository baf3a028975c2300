mtdump dump --help
