#!/bin/sh
# What is shown on terminals of several kinds, in pipes, and where nothing can be shown. The pseudo
# terminal is made by script(1).
. "$(dirname "$0")/lib.sh"
converted bert-classify model || exit 1
add_tokenizer model
escape=$(printf '\033')

# Runs gpux with the environment $1 ("A=b C=d") on a terminal; all it shows is in stdout.
on_terminal() {
    variables=$1
    shift
    last_command="$variables gpux $* on a terminal"
    # shellcheck disable=SC2086
    env TERM=xterm $variables script -qec "$binary $*" /dev/null >"$temp/out" 2>"$temp/err" </dev/null
    status=$?
}

has_escapes() {
    grep -q "$escape" "$temp/out" || problem "$last_command: no escape codes"
}

is_ascii() {
    if LC_ALL=C grep -q '[^ -~[:cntrl:]]' "$temp/out"; then problem "$last_command: more than ASCII: $(head -c 300 "$temp/out")"; fi
}

# Every character counts as one column.
fits() {
    tr -d '\r' <"$temp/out" | LC_ALL=C sed "s/$escape\[[0-9;]*m//g; s/[$(printf '\300')-$(printf '\377')][$(printf '\200')-$(printf '\277')]*/x/g" |
        LC_ALL=C awk -v limit="$1" 'length($0) > limit { print; bad = 1 } END { exit bad }' >"$temp/long" ||
        problem "$last_command: wider than $1: $(head -n 1 "$temp/long")"
}

if command -v script >/dev/null; then
    begin 'a terminal with UTF-8 has colours and boxes'
    on_terminal LC_ALL=C.UTF-8 inspect ./model; code 0; has_escapes; out_has '┏'; end

    begin 'NO_COLOR and TERM=dumb have neither'
    for variable in NO_COLOR=1 TERM=dumb; do
        on_terminal "LC_ALL=C.UTF-8 $variable" inspect ./model; code 0; is_plain; out_lacks '┏'; out_has '+--'
        on_terminal "LC_ALL=C.UTF-8 $variable" nix; code 2; is_plain; out_has 'Error: No such command: nix'
    done; end

    begin 'other locales get ASCII only'
    cp -r model 'модель'
    for locale in C POSIX ru_RU.KOI8-R de_DE.ISO-8859-1; do
        on_terminal "LC_ALL=$locale" inspect; code 0; is_ascii; out_has 'CPUExecutionProvider'
        on_terminal "LC_ALL=$locale" inspect ./модель; code 0; is_ascii; out_has '??????'
        on_terminal "LC_ALL=$locale" run ./nowhere good; code 1; is_ascii; out_has 'not found'
    done; end

    begin 'tables and help fit into 40 columns'
    on_terminal 'LC_ALL=C.UTF-8 COLUMNS=40' inspect ./model; code 0; fits 40
    on_terminal 'LC_ALL=C.UTF-8 COLUMNS=40' inspect; code 0; fits 40
    on_terminal 'LC_ALL=C COLUMNS=40' inspect; code 0; fits 40
    on_terminal 'COLUMNS=40' run --help; code 0
    out_has 'Request: JSON'; end

    begin 'a batch shows its progress on a terminal, and takes it away'
    awk 'BEGIN { for (i = 0; i < 60000; i++) print "{\"inputs\": \"good bad film a good\"}" }' >many.jsonl
    on_terminal 'LC_ALL=C COLUMNS=80' batch run ./model many.jsonl -o answers.jsonl; code 0
    out_has '####'; out_matches ' [0-9]+ % +[0-9,]+ lines'; out_has '/s'; out_has 'ETA'; out_has '60,000 lines in'
    out_has 'Results saved to: answers.jsonl'
    blank=$(printf '\r%30s' '')
    grep -qF -- "$blank" "$temp/out" || problem 'the progress line stays'; end

    begin 'answers on a terminal are not mixed with progress'
    head -n 3 many.jsonl >three.jsonl
    on_terminal LC_ALL=C batch run ./model three.jsonl; code 0; out_lacks ETA
    [ "$(grep -c logits "$temp/out")" -eq 3 ] || problem 'not three answers'; end
fi

begin 'a pipe gets plain text, whatever the environment says'
for variable in LC_ALL=C LC_ALL=C.UTF-8 NO_COLOR=1 COLUMNS=40; do
    env "$variable" "$binary" inspect >"$temp/out" 2>"$temp/err"; status=$?; last_command="$variable gpux inspect"
    code 0; err_is_empty; is_plain; out_has '✅'
done; end

begin 'a text that is not UTF-8 is refused'
gpux run ./model "$(printf 'good \320\322')"; code 1; out_is_empty; err_has 'The text is not UTF-8 (byte 5)'
gpux run ./model --text "$(printf '\377')"; code 1; err_has 'not UTF-8'; end

begin 'a closed pipe ends the program without a word'
awk 'BEGIN { for (i = 0; i < 3000; i++) print "{\"inputs\": \"good bad film a good\"}" }' >lines.jsonl
for command in 'inspect ./model --json' 'completion bash' 'help --man run' 'run ./model -f lines.jsonl' 'batch run ./model lines.jsonl'; do
    # shellcheck disable=SC2086
    "$binary" $command 2>"$temp/err" | head -n 1 >"$temp/out"
    last_command="gpux $command | head -n 1"; err_is_empty; [ -s "$temp/out" ] || problem "$last_command: no line"
done; end

begin 'a full device is a failure with its reason'
if [ -w /dev/full ]; then
    for command in inspect 'inspect ./model --json' 'completion bash' --help 'help --man run' 'run ./model good' 'version --json'; do
        # shellcheck disable=SC2086
        "$binary" $command >/dev/full 2>"$temp/err"; status=$?; last_command="gpux $command >/dev/full"
        code 1; err_is 'Error: Cannot write to standard output: No space left on device'
    done
fi; end

begin 'a closed standard output is a failure'
"$binary" run ./model good >&- 2>"$temp/err"; status=$?; last_command='gpux run >&-'
code 1; err_has 'Cannot write to standard output'; end

summary
