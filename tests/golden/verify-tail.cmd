example && head -c 1500 example.mtrace >cut && echo "no tail" >cut.tail && mtdump verify cut
