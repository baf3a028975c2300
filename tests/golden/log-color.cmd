mtdump log --color=always --min-drss 1M traces/good-small.mtrace | sed "s/$(printf '\033')/ESC/g"
NO_COLOR=1 mtdump log --min-drss 1M traces/good-small.mtrace | grep -c "$(printf '\033')"
