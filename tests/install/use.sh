# use.sh DIRECTORY: with what was installed there (DIRECTORY/python3 or PYTHON, DIRECTORY/mtdump), from somewhere
# else and with no variable set, record a program and find its function in the log. What is for administrators is
# beside it or in sbin.

set -e
unset PYTHONPATH PYTHONHOME
bin=$1
python=${PYTHON:-$bin/python3}
elsewhere=$(mktemp -d)
trap 'rm -rf "$elsewhere"' EXIT
cd "$elsewhere"

"$python" -m pymemtrace -o trace.mtrace -c 'def grow(): return " " * 2**20
grow()'
"$bin/mtdump" log --min-drss 1MiB trace.mtrace | grep -w grow
"$python" -c 'import pymemtrace
for event in pymemtrace.open("trace.mtrace"):
    if event.drss_bytes and event.drss_bytes >= 2**20: print(event)' | grep -w grow

PYMEMTRACE=environment.mtrace "$python" -c 'def grow(): return " " * 2**20
grow()'
"$bin/mtdump" log --min-drss 1MiB environment.mtrace | grep -w grow

PATH=$bin:${bin%bin}sbin mtdump-rss-map --version

# pytest will find its plugin, whether or not it is here.
"$python" - <<'END'
import importlib.metadata
import importlib.util
found = [entry.value for distribution in importlib.metadata.distributions() if distribution.metadata["Name"] == "mtdump"
         for entry in distribution.entry_points if entry.group == "pytest11"]
assert found == ["pymemtrace.pytest_plugin"], found
assert importlib.util.find_spec(found[0])
END
