example && ln -s target out && mtdump info --force -o out example.mtrace; ls
