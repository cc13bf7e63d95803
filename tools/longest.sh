#!/bin/sh
# Prints the files over 600 lines and the functions over 60, longest first. The limits are soft: the
# list is for the eye, the exit status is always 0. Relies on the layout that clang-format gives.
# usage: tools/longest.sh [ROOT]
set -eu
export LC_ALL=C
cd "${1:-$(dirname "$0")/..}"

# shellcheck disable=SC2046 # file names have no spaces
awk '
function close_file() {
    if (lines > 600)
        printf "%6d  file      %s\n", lines, file
}
FNR == 1 {
    close_file()
    file = FILENAME
    signature = ""
    name = ""
}
{ lines = FNR }
name != "" {
    if ($0 == "}") {
        if (FNR - start + 1 > 60)
            printf "%6d  function  %s:%d %s\n", FNR - start + 1, FILENAME, start, name
        name = ""
    }
    next
}
# A signature begins in column 0 and may go on over several lines.
signature == "" && /^[A-Za-z_].*\(/ && !/^(typedef|return|else|do) / {
    signature = $0
    start = FNR
    open_name = $0
    sub(/\(.*/, "", open_name)
    sub(/.*[ *]/, "", open_name)
}
signature != "" {
    if (/\{$/)
        name = open_name
    if (/[;{}]$/)
        signature = ""
}
END { close_file() }' $(find src app include test fuzz -type f \( -name '*.c' -o -name '*.h' \) | sort) |
    sort -k2,2 -k1,1nr
