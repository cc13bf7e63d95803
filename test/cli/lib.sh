# Helpers of the end-to-end tests of the command line; sourced by each *_test.sh.
#
# A test file is called with the gpux binary and the folder of golden models. It runs in an empty
# temporary folder, with a home of its own and without any GPUX_ variable. A test is:
#   begin 'a sentence'; gpux ARGS; code 0; out_has TEXT; end
# Every expectation of a test is checked; `end` prints "ok" or "not ok" with what went wrong.

set -u
if [ $# -ne 2 ]; then
    echo "usage: $0 GPUX_BINARY MODELS_FOLDER" >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
binary=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
models=$(cd "$2" && pwd)
if [ ! -x "$binary" ]; then
    echo "$0: cannot run $binary" >&2
    exit 2
fi
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
trap 'exit 130' INT
for variable in $(env | sed -n 's/^\(GPUX_[A-Z_]*\)=.*/\1/p'); do unset "$variable"; done
unset NO_COLOR COLUMNS
export HOME="$temp/home" LC_ALL=C
mkdir "$temp/home" "$temp/work"
cd "$temp/work" || exit 1
passed=0
failed=0

begin() {
    name=$1
    problems=
}

problem() {
    problems="$problems
    # $1"
}

# Runs gpux; stdout, stderr and the exit code are kept for the expectations.
gpux() {
    last_command="gpux $*"
    "$binary" "$@" >"$temp/out" 2>"$temp/err" </dev/null
    status=$?
}

# The same with the text $1 on stdin.
gpux_with_stdin() {
    text=$1
    shift
    last_command="... | gpux $*"
    printf '%s' "$text" | "$binary" "$@" >"$temp/out" 2>"$temp/err"
    status=$?
}

code() {
    [ "$status" -eq "$1" ] || problem "$last_command: exit $status, not $1; stderr: $(head -c 300 "$temp/err")"
}

out_has() {
    grep -qF -- "$1" "$temp/out" || problem "$last_command: stdout lacks '$1': $(head -c 300 "$temp/out")"
}

out_lacks() {
    if grep -qF -- "$1" "$temp/out"; then problem "$last_command: stdout has '$1'"; fi
}

out_matches() {
    grep -qE -- "$1" "$temp/out" || problem "$last_command: stdout does not match '$1': $(head -c 300 "$temp/out")"
}

out_is() {
    [ "$(cat "$temp/out")" = "$1" ] || problem "$last_command: stdout is '$(head -c 300 "$temp/out")', not '$1'"
}

out_is_empty() {
    [ ! -s "$temp/out" ] || problem "$last_command: stdout is not empty: $(head -c 300 "$temp/out")"
}

err_has() {
    grep -qF -- "$1" "$temp/err" || problem "$last_command: stderr lacks '$1': $(head -c 300 "$temp/err")"
}

err_lacks() {
    if grep -qF -- "$1" "$temp/err"; then problem "$last_command: stderr has '$1'"; fi
}

err_matches() {
    grep -qE -- "$1" "$temp/err" || problem "$last_command: stderr does not match '$1': $(head -c 300 "$temp/err")"
}

err_is() {
    [ "$(cat "$temp/err")" = "$1" ] || problem "$last_command: stderr is '$(head -c 300 "$temp/err")', not '$1'"
}

err_is_empty() {
    [ ! -s "$temp/err" ] || problem "$last_command: stderr is not empty: $(head -c 300 "$temp/err")"
}

# The kept output has no escape code.
is_plain() {
    escape=$(printf '\033')
    if grep -q "$escape" "$temp/out" "$temp/err"; then problem "$last_command: escape codes in the output"; fi
}

# Files, in the order the calls name them.
file_exists() {
    [ -e "$1" ] || problem "$1 does not exist"
}

file_is_absent() {
    [ ! -e "$1" ] || problem "$1 exists"
}

file_has() {
    grep -qF -- "$2" "$1" || problem "$1 lacks '$2'"
}

end() {
    if [ -z "$problems" ]; then
        passed=$((passed + 1))
        echo "ok - $name"
    else
        failed=$((failed + 1))
        echo "not ok - $name$problems"
    fi
}

# The last line of every test file. A misspelt expectation would be one that cannot fail.
summary() {
    for expectation in $(grep -oE '(^|[;&|] *)(out|err)_[a-z_]+' "$here/$(basename "$0")" | sed 's/.*[;&| ]//' | sort -u); do
        if ! command -v "$expectation" >/dev/null; then
            echo "not ok - $(basename "$0") uses $expectation, which does not exist"
            failed=$((failed + 1))
        fi
    done
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}

# A copy of the golden model $1, converted, as folder $2.
converted() {
    cp -r "$models/$1" "$2"
    rm -f "$2/expected.json"
    "$binary" convert "$2" >"$temp/convert.log" 2>&1 || {
        echo "# cannot convert $1: $(cat "$temp/convert.log")"
        return 1
    }
}

# Puts a small WordPiece tokenizer beside the model in folder $1: ids 0 to 9.
add_tokenizer() {
    cat >"$1/tokenizer.json" <<'JSON'
{"version": "1.0", "truncation": null, "padding": null,
 "added_tokens": [
  {"id": 0, "content": "[PAD]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
  {"id": 1, "content": "[UNK]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
  {"id": 2, "content": "[CLS]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
  {"id": 3, "content": "[SEP]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
  {"id": 4, "content": "[MASK]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
 "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
 "pre_tokenizer": {"type": "BertPreTokenizer"},
 "post_processor": {"type": "TemplateProcessing",
  "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
  "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
  "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]}, "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}},
 "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
 "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
  "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "good": 5, "bad": 6, "film": 7, "##s": 8, "a": 9}}}
JSON
}
