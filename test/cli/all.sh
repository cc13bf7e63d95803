#!/bin/sh
# Runs every end-to-end test: all.sh GPUX_BINARY MODELS_FOLDER
set -u
folder=$(dirname "$0")
bad=0
for test in "$folder"/*_test.sh; do
    echo "== $(basename "$test")"
    sh "$test" "$@" || bad=1
done
exit $bad
