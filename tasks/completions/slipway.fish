# Completion of ./invoke, invoke and inv in fish, in any folder of the checkout.
function __slipway
    set -l words (commandline --tokenize --cut-at-cursor --current-process) (commandline --current-token --cut-at-cursor)
    $words[1] --complete -- $words 2>/dev/null
end
complete --command invoke --command inv --arguments '(__slipway)'
