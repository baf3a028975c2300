example && mtdump info -o out example.mtrace && wc -l <out && ls
