# fish completion for mtdump.  Verbs and options are what mtdump itself lists.

function __mtdump_verb
    set -l words (commandline -opc)
    if test (count $words) -ge 2; and contains -- $words[2] (mtdump --list-verbs 2>/dev/null | string replace -r '\t.*' '')
        echo $words[2]
    else
        echo log
    end
end

function __mtdump_options
    set -l token (commandline -ct)
    for line in (mtdump (__mtdump_verb) --list-options 2>/dev/null)
        set -l columns (string split \t -- $line)
        if string match -q -- "$columns[1]=*" $token
            for choice in (string split -n ' ' -- $columns[4])
                echo $columns[1]=$choice
            end
        else if test -n "$columns[3]"
            printf '%s=\t%s\n' $columns[1] $columns[5]
        else
            printf '%s\t%s\n' $columns[1] $columns[5]
        end
    end
end

complete -c mtdump -n 'test (count (commandline -opc)) -eq 1' -a '(mtdump --list-verbs 2>/dev/null)'
complete -c mtdump -n 'string match -q -- "-*" (commandline -ct)' -a '(__mtdump_options)'
