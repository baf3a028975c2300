mkfifo f && mtdump verify f
