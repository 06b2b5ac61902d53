# Completion of ./invoke, invoke and inv in bash, in any folder of the checkout.
_slipway() {
    local IFS=$'\n'
    COMPREPLY=($("${COMP_WORDS[0]}" --complete -- "${COMP_WORDS[@]:0:COMP_CWORD+1}" 2>/dev/null))
}
complete -o default -F _slipway ./invoke invoke inv
