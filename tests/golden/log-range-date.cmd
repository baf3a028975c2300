mtdump log --min-drss 0 --clock=wall --from 2026-01-01T00:00:00.000010Z --to 2026-01-01T00:00:00.00001+00:00 traces/good-small.mtrace
