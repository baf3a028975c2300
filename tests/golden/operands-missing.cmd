mtdump info
