mtdump info "$(printf 'a\033[2J\nmtdump: forged')"
