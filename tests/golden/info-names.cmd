mtdump info traces/good-names.mtrace | grep -e threads -e peak
