# What `mtdump html` and `mtdump export` write: the page in Chromium, the others opened by the viewers' own code, which is fetched from their registries into the current
# directory: speedscope and the Firefox Profiler (its profiler-cli) from npm, Perfetto's messages from PyPI, pprof from a Go toolchain. Needs the network, so
# runtests runs it and "make check" does not.
#
#     MTDUMP=... TOP_SRCDIR=... PYTHON=... sh run.sh
#     PICTURES=/.../docs ... sh run.sh    makes the pictures of docs/html.md anew

: "${MTDUMP:?the mtdump to test, as a whole path}" "${TOP_SRCDIR:?}" "${PYTHON:?}"
here=$TOP_SRCDIR/tests/viewers
trace=$TOP_SRCDIR/tests/traces/good-small.mtrace
passed=0 failed=0 skipped=0

good() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "FAILED: $*" >&2; }
not_run() { skipped=$((skipped + 1)); echo "NOT RUN: $*"; }
check() {
	what=$1
	shift
	if "$@"; then good; else bad "$what"; fi
}

for format in speedscope chrome perfetto pprof firefox; do
	check "export $format" "$MTDUMP" export --format=$format --force -o small.$format "$trace"
done
slices=$(grep -c '"ph":"B"' small.chrome)

# speedscope, which reads its own format and two of the others
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
	not_run 'speedscope: no node and npm here'
elif ! { echo '{}' >package.json && npm install --silent --no-audit --no-fund speedscope@1.25.0 jsdom@22 >npm.log 2>&1; }; then
	not_run 'speedscope: npm cannot fetch it (npm.log)'
else
	check 'speedscope opens speedscope' node "$here/speedscope.js" small.speedscope \
		'MainThread (1/5)' worker 'RSS grown3.38 MB' 'RSS released2.43 MB' 'uncertain by whom256.00 KB'
	check 'speedscope opens chrome' node "$here/speedscope.js" small.chrome MainThread worker
	check 'speedscope opens pprof' node "$here/speedscope.js" small.pprof 'Time Order'
	head -c 3000 small.speedscope >cut.speedscope
	if node "$here/speedscope.js" cut.speedscope MainThread 2>/dev/null; then
		bad 'speedscope opens half a file: this test tests nothing'
	else
		good
	fi
fi

# speedscope as people see it: its page in Chromium, with nothing but files. What the page became is left in dom.html,
# what its scripts said in said.txt.  in_chromium FILE SECONDS
in_chromium() {
	page=$PWD/node_modules/speedscope/dist/release/index.html
	echo "speedscope.loadFileFromBase64('$1', '$(base64 -w 0 "$1")')" >load.js
	timeout "$2" chromium --headless --no-sandbox --enable-unsafe-swiftshader --user-data-dir="$PWD/chromium" \
		--host-resolver-rules='MAP * ~NOTFOUND' --allow-file-access-from-files --enable-logging=stderr --virtual-time-budget=20000 --dump-dom \
		"file://$page#localProfilePath=$PWD/load.js" >dom.html 2>chromium.log
	grep CONSOLE chromium.log >said.txt
	grep -q '(1/5)' dom.html && grep -q 'MainThread' dom.html && grep -q 'good-small.mtrace - speedscope</title>' dom.html &&
		grep -q '"WebGL initialized' said.txt && ! grep -qE 'ERROR:CONSOLE|Uncaught' said.txt
}
if [ ! -d node_modules/speedscope ]; then
	not_run 'speedscope in Chromium: npm did not fetch it'
elif ! command -v chromium >/dev/null; then
	not_run 'speedscope in Chromium: no chromium here (Debian: apt-get install chromium)'
else
	check 'speedscope in Chromium opens speedscope' in_chromium small.speedscope 120
	# It asks to be told that this was seen, and waits.
	if in_chromium cut.speedscope 10; then
		bad 'speedscope in Chromium opens half a file: this test tests nothing'
	else
		good
	fi
fi

# The Firefox Profiler's own code as a program without a screen
if ! command -v npm >/dev/null; then
	not_run 'firefox: no npm here'
elif ! { mkdir -p firefox && echo '{}' >firefox/package.json &&
	npm install --prefix firefox --silent --no-audit --no-fund @firefox-devtools/profiler-cli@0.10.0 node@24 >npm-firefox.log 2>&1; }; then
	not_run 'firefox: npm cannot fetch its profiler-cli, and the node that it needs (npm-firefox.log)'
else
	# sessions and their logs here, and nothing is asked of a server
	export PROFILER_CLI_SESSION_DIR="$PWD/firefox/sessions" PROFILER_CLI_NO_SYMBOLICATE=1
	mkdir -p "$PROFILER_CLI_SESSION_DIR"
	pq() { PATH=$PWD/firefox/node_modules/.bin:$PATH node firefox/node_modules/.bin/pq "$@"; }
	shows() {
		words=$1
		shift
		pq "$@" >firefox/shown 2>&1 && grep -q "$words" firefox/shown || { cat firefox/shown >&2; false; }
	}
	cp small.firefox firefox/small.json
	check 'firefox opens' shows "Session started" load firefox/small.json
	check 'firefox: both threads' shows 'contains 2 threads across 1 processes' profile info
	check 'firefox: RSS is a counter' shows 'RSS (Memory)' counter list
	check 'firefox: its curve' shows '60 total' counter info c-0
	check 'firefox: who took time' shows 'load - self: .*total: .*100.0%' thread functions
	check 'firefox: who grew' shows 'load - self: 786KB' thread functions --strategy native-allocations
	check 'firefox: below whom' shows 'parse .total: 42.9%' thread samples-top-down --strategy native-allocations
	pq stop --all >/dev/null
	head -c 3000 small.firefox >firefox/cut.json
	if pq load firefox/cut.json >/dev/null 2>&1; then
		bad 'firefox opens half a file: this test tests nothing'
	else
		good
	fi
	pq stop --all >/dev/null
fi

# The page of mtdump html in Chromium, which needs nothing fetched
record() {
	rm -f "$2" "$2.tail"
	PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$(dirname "$MTDUMP") "$PYTHON" -m pymemtrace -o "$2" "$here/$1" 2>>page.log
}
: >page.log
check 'html: a known program' record known_program.py known.mtrace
check 'html: hostile names' record hostile_program.py hostile.mtrace
check 'html: its page' "$MTDUMP" html --force -o known.html known.mtrace
check 'html: their page' "$MTDUMP" html --force -o hostile.html hostile.mtrace
others='good-empty good-one-record good-lost good-names good-extremes good-tail bad-hole'
for name in $others; do
	"$MTDUMP" html --force -o $name.html "$TOP_SRCDIR/tests/traces/$name.mtrace" 2>>page.log
done
if ! command -v chromium >/dev/null; then
	not_run 'mtdump html in Chromium: no chromium here (Debian: apt-get install chromium)'
else
	check 'html in Chromium' env PYTHONDONTWRITEBYTECODE=1 "$PYTHON" "$here/check_page.py" known.html hostile.html $(printf '%s.html ' $others)
fi

# Perfetto
if ! { "$PYTHON" -m venv perfetto && perfetto/bin/python -m pip -q install perfetto==0.59.1 protobuf; } >pip.log 2>&1; then
	not_run 'perfetto: pip cannot fetch it (pip.log)'
else
	check 'perfetto' perfetto/bin/python "$here/check_perfetto.py" small.perfetto "$slices"
fi

# pprof
go=$(command -v go || ls /usr/local/go/bin/go /usr/lib/go/bin/go 2>/dev/null | head -n 1)
if [ -z "$go" ]; then
	not_run 'pprof: no Go here, whose tools have it'
else
	"$go" tool pprof -top -sample_index=rss_grown small.pprof >pprof.txt 2>pprof.err
	check 'pprof -top' grep -q '1280kB .* load$' pprof.txt
	"$go" tool pprof -top -sample_index=rss_net -diff_base=small.pprof small.pprof >pprof.txt 2>pprof.err
	check 'pprof -diff_base' grep -q 'accounting for 0' pprof.txt
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
