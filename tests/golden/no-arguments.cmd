mtdump
