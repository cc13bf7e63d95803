#!/bin/sh
# gpux completion and the manual pages: what they say, and what the shells and formatters make of it.
. "$(dirname "$0")/lib.sh"
mkdir folder 'a folder'
touch model.onnx notes.txt

# Completes the words $1… in bash; the offers stand in stdout, sorted.
completes() {
    last_command="completion of: $*"
    bash -c '
        source bash.sh
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        _gpux
        printf "%s\n" "${COMPREPLY[@]}" | sort' bash gpux "$@" >"$temp/out" 2>"$temp/err"
    status=$?
    code 0
    err_is_empty
}

begin 'each shell has its script'
for shell in bash zsh fish; do
    gpux completion $shell; code 0; err_is_empty; is_plain; cp "$temp/out" $shell.sh
    out_has 'resume'; out_has 'inspect'
done
gpux completion BASH; code 0
gpux completion; code 2; err_has "Missing argument 'SHELL'"
gpux completion csh; code 2; err_has 'bash, zsh, fish'; end

begin 'each script is accepted by its shell, where it is there'
for shell in bash zsh fish; do
    if command -v $shell >/dev/null; then
        $shell -n $shell.sh >"$temp/out" 2>"$temp/err"; status=$?; last_command="$shell -n"; code 0; err_is_empty
    fi
done; end

if command -v bash >/dev/null; then
    begin 'bash completes commands, options and values'
    completes ''; out_has run; out_has batch; out_has completion
    completes ins; out_is inspect
    completes batch ''; out_is "$(printf 'pull\nrun')"
    completes batch run --res; out_is --resume
    completes run --for; out_is --format
    completes run --format ''; out_is "$(printf 'gpux\nhf\nraw')"
    completes run --format = h; out_is hf
    completes --verbose run --precision f; out_is fp32
    completes completion f; out_is fish
    completes build --tune = thr; out_is throughput
    completes help batch ''; out_is "$(printf 'pull\nrun')"
    completes --he; out_is --help; end

    begin 'bash completes aliases as the commands they stand for'
    completes l; out_is "$(printf 'list\nlogin\nlogout\nls')"
    completes rem; out_is remove
    completes remove --al; out_is --all
    completes ls --cache-dir fol; out_is folder
    completes remove fol; out_is folder; end

    begin 'bash completes models, folders and files where they belong'
    completes run ''; out_is "$(printf 'a folder\nfolder\nmodel.onnx')"
    completes run -p cpu fol; out_is folder
    completes batch run folder no; out_is notes.txt
    completes convert -o fol; out_is folder
    completes inspect -m mod; out_is model.onnx
    completes run -i no; out_is notes.txt
    completes run folder ''; out_is ''; end
fi

if command -v fish >/dev/null; then
    begin 'fish completes commands, options, values and models'
    cat >try.fish <<'FISH'
source fish.sh
for line in 'gpux ins' 'gpux remo' 'gpux remove --al' 'gpux batch ' 'gpux batch run --res' 'gpux run --format h' 'gpux run mod' 'gpux batch run folder no' 'gpux completion z'
    complete -C $line | string replace -r '\t.*' ''
end
FISH
    fish --no-config try.fish >"$temp/out" 2>"$temp/err"; last_command='fish'
    err_is_empty
    out_is "$(printf 'inspect\nremove\n--all\npull\nrun\n--resume\nhf\nmodel.onnx\nnotes.txt\nzsh')"; end
fi

if command -v zsh >/dev/null; then
    begin 'zsh loads its script in both ways'
    mkdir functions; cp zsh.sh functions/_gpux
    # shellcheck disable=SC2016
    zsh -f -c 'autoload -Uz compinit; compinit -u -D; source ./zsh.sh; print $_comps[gpux]' >"$temp/out" 2>"$temp/err"
    status=$?; last_command='zsh source'; code 0; err_is_empty; out_is _gpux
    # shellcheck disable=SC2016
    zsh -f -c 'fpath=($PWD/functions $fpath); autoload -Uz compinit; compinit -u -D; print $_comps[gpux]; autoload +X _gpux' >"$temp/out" 2>"$temp/err"
    status=$?; last_command='zsh autoload'; code 0; err_is_empty; out_is _gpux; end
fi

begin 'every command has a manual page'
for page in '' build run 'batch run' 'batch pull' pull list rm prune search info login logout registries inspect convert completion version help; do
    # shellcheck disable=SC2086
    gpux help --man $page; code 0; err_is_empty; out_matches '^\.TH "GPUX'; out_has '.SH "OPTIONS"'
    name=$(echo "gpux $page" | sed 's/ *$//; s/ /-/g').1
    cp "$temp/out" "$name"
done
gpux help --man nothing; code 2; end

begin 'the formatters have nothing to say against the pages'
for page in *.1; do
    if command -v mandoc >/dev/null; then
        # The pages have no date: they are the same whenever they are built.
        mandoc -T lint -W warning "$page" 2>&1 | grep -v 'missing date' >"$temp/err"
        last_command="mandoc $page"; err_is_empty
    fi
    if command -v groff >/dev/null; then
        groff -ww -man -T ascii "$page" >"$temp/out" 2>"$temp/err"; last_command="groff $page"
        err_is_empty; [ -s "$temp/out" ] || problem "$page is empty"
    fi
done; end

summary
