# The completion scripts, in the shells that they are for: verbs, options of the verb, values, traces.

set -u
here=$(cd "$(dirname "$0")" && pwd)
scripts=$here/../../analyzer/completion
scratch=$(mktemp -d "${TMPDIR:-/tmp}/completion.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/bin"
printf '#!/bin/sh\nexec "%s" "$@"\n' "$MTDUMP" >"$scratch/bin/mtdump"
chmod +x "$scratch/bin/mtdump"
PATH=$scratch/bin:$PATH
export PATH
mkdir "$scratch/work" && cd "$scratch/work" || exit 1
: >a.mtrace
: >b.txt
mkdir directory

passed=0 failed=0 skipped=0

# expect WHAT GOT WANTED
expect() {
	if [ "$2" = "$3" ]; then
		passed=$((passed + 1))
	else
		printf 'FAILED: %s\n  got    %s\n  wanted %s\n' "$1" "$2" "$3"
		failed=$((failed + 1))
	fi
}

not_run() {
	echo "NOT RUN: completion for $1: no $1 here (Debian: apt-get install $1)"
	skipped=$((skipped + 1))
}

# in_bash WORD...: what comes for the last word, sorted, on one line.
in_bash() {
	bash --norc -c '
		. "$0"
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_mtdump
		printf "%s\n" "${COMPREPLY[@]}" | sort | tr "\n" " "' "$scripts/bash/mtdump" "$@" 2>&1
}

if command -v bash >/dev/null; then
	expect 'bash: a verb' "$(in_bash mtdump to)" 'top '
	expect 'bash: an option' "$(in_bash mtdump top --so)" '--sort= '
	expect 'bash: a flag of log, without a verb' "$(in_bash mtdump --ty)" '--types '
	expect 'bash: a value behind =' "$(in_bash mtdump top --sort = re)" 'released '
	expect 'bash: all values' "$(in_bash mtdump diff --exit-code --by =)" \
		"$("$MTDUMP" diff --list-options | sed -n 's/^--by\t[^\t]*\t[^\t]*\t\([^\t]*\)\t.*/\1/p' | tr ' ' '\n' | sort | tr '\n' ' ')"
	expect 'bash: a value behind a short option' "$(in_bash mtdump top -s gr)" 'grown '
	expect 'bash: traces and directories' "$(in_bash mtdump top '')" 'a.mtrace directory '
	expect 'bash: another file, if no trace fits' "$(in_bash mtdump info b)" 'b.txt '
else
	not_run bash
fi

# in_fish LINE
in_fish() {
	HOME=$scratch fish --no-config -c 'source $argv[1]; complete -C $argv[2]' "$scripts/fish/mtdump.fish" "$1" 2>&1 |
		cut -f1 | sort | tr '\n' ' '
}

if command -v fish >/dev/null; then
	expect 'fish: a verb' "$(in_fish 'mtdump to')" 'top '
	expect 'fish: an option' "$(in_fish 'mtdump top --so')" '--sort= '
	expect 'fish: a value' "$(in_fish 'mtdump top --sort=re')" '--sort=released '
	expect 'fish: traces' "$(in_fish 'mtdump top a')" 'a.mtrace '
else
	not_run fish
fi

# in_zsh LINE: the line after a press of Tab, from an interactive shell on a terminal of its own.
in_zsh() {
	cat >"$scratch/rc" <<-'END'
		PROMPT= RPROMPT=
		fpath=($SCRIPTS $fpath)
		autoload -Uz compinit && compinit -u -D
		show() { print -r -- "RESULT<$BUFFER>"; exit }
		zle -N show
		bindkey '^X' show
		print READY
	END
	HOME=$scratch SCRIPTS=$scripts/zsh zsh -f -c '
		zmodload zsh/zpty
		zpty shell zsh -f -i
		until_seen() {
			local i chunk
			for i in {1..400}; do
				zpty -r -t shell chunk && seen+=$chunk
				[[ $seen == *$1* ]] && return
				sleep 0.05
			done
		}
		zpty -w shell "source $1"
		until_seen READY
		seen=
		zpty -w -n shell "$2"$'"'\t\x18'"'
		until_seen "RESULT<*>"
		seen=${seen##*RESULT<}
		print -r -- "${seen%%>*}"' zsh "$scratch/rc" "$1" 2>&1
}

if command -v zsh >/dev/null; then
	expect 'zsh: a verb' "$(in_zsh 'mtdump time')" 'mtdump timeline '
	expect 'zsh: an option' "$(in_zsh 'mtdump top --so')" 'mtdump top --sort='
	expect 'zsh: a value' "$(in_zsh 'mtdump top --sort=re')" 'mtdump top --sort=released '
	expect 'zsh: a trace' "$(in_zsh 'mtdump top a')" 'mtdump top a.mtrace '
else
	not_run zsh
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
