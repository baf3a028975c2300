mtdump log --min-drss 640K traces/bad-payload-flip.mtrace; mtdump log --min-drss 64K traces/bad-payload-flip.mtrace | grep -A2 LOST
