mtdump --help >/dev/full
