mtdump frobnicate app.mtrace
