mtdump inof app.mtrace
