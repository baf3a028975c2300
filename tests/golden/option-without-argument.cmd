mtdump info app.mtrace --output
