mtdump log traces/good-no-events.mtrace
