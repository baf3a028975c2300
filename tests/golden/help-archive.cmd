mtdump archive --help
