mtdump top traces/bad-payload-flip.mtrace
