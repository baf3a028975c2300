mtdump info --jsno app.mtrace
