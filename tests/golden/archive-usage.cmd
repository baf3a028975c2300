example
ln -s example.mtrace link
mtdump archive; echo $?
mtdump archive -; echo $?
mtdump archive link; echo $?
mtdump archive -o out example.mtrace example.mtrace; echo $?
mtdump archive --level=23 example.mtrace; echo $?
mtdump archive missing; echo $?
mtdump archive .; echo $?
mtdump archive -o missing/out example.mtrace; echo $?
ls -A
