mtdump log --log -o x.log traces/good-small.mtrace; mtdump log --log - <traces/good-small.mtrace; ls
