# confidence intervals are doubles, which another processor may round otherwise
mtdump html traces/good-small.mtrace | sed -n '/id="data">$/,/^<.script>$/p' | sed 's/"writer": "[^"]*",//' | tr '{' '\n' | grep -v slope_milli
