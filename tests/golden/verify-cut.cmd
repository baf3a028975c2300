example && head -c 1600 example.mtrace >cut && mtdump verify cut
