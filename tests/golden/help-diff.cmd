mtdump diff --help
