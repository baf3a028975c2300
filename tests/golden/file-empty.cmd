: >empty && mtdump verify empty
