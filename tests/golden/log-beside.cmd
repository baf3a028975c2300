cp traces/good-small.mtrace a.mtrace; cp traces/good-one-record.mtrace b; mtdump log --log --min-drss 1M a.mtrace b && ls && cat a.log b.log; mtdump --log b; mtdump --log --force b; cat b.log
