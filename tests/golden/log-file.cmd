mtdump log --min-drss 0 --file "*.c" traces/good-small.mtrace; mtdump log --min-drss 1M --file sample.py traces/good-small.mtrace | wc -l
