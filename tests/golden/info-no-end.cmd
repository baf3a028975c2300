example && head -c 1600 example.mtrace >cut && mtdump info cut | grep -e ended -e whole
