mtdump info --json traces/good-names.mtrace | grep -e name -e file.: -e function
