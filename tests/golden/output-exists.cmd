example && echo old >out && mtdump info -o out example.mtrace; cat out; mtdump info -fo out example.mtrace; mtdump info --force -o out example.mtrace && head -n 1 out
