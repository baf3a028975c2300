mtdump --help >&-
