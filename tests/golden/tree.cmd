example && mtdump tree example.mtrace
