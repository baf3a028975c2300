example && mtdump dump --blocks=1,7 example.mtrace; mtdump dump --blocks=x example.mtrace
