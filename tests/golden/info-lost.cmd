mtdump info --json traces/good-lost.mtrace | sed -n "/\"lost\": {/,\$p"
