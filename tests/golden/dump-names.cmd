mtdump dump traces/good-names.mtrace | cut -f 11-
