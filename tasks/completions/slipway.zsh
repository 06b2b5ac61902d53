# Completion of ./invoke, invoke and inv in zsh, in any folder of the checkout.
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -D; }
_slipway() {
    local -a found
    found=("${(@f)$("${words[1]}" --complete -- "${(@)words[1,CURRENT]}" 2>/dev/null)}")
    if (( ${#found} )) && [[ -n ${found[1]} ]]; then compadd -a found; else _files; fi
}
compdef _slipway ./invoke invoke inv
