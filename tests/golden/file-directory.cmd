mkdir d && mtdump info d
