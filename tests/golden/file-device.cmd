mtdump verify /dev/zero
