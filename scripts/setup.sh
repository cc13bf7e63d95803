#!/bin/sh
# Installs the packages that building, the demo and the tests need, where they are missing. It does
# nothing else: no build, no settings. A second run only looks and takes a moment.
# usage: scripts/setup.sh [build|demo|test]; without a word, all of them
set -eu

want=${1:-test}
case $want in
build | demo | test) ;;
*)
    echo "usage: scripts/setup.sh [build|demo|test]" >&2
    exit 2
    ;;
esac

has_command() {
    command -v "$1" > /dev/null 2>&1
}
has_compiler() {
    has_command cc && echo '#include <stdio.h>' | cc -E -o /dev/null - 2> /dev/null
}
has_arm_compiler() {
    has_command aarch64-linux-gnu-gcc &&
        echo '#include <stdio.h>' | aarch64-linux-gnu-gcc -E -o /dev/null - 2> /dev/null
}
has_library() {
    has_command pkg-config && pkg-config --exists "$1"
}
has_pip() {
    python3 -m pip --version > /dev/null 2>&1
}

missing=
wished=
is_wanted() {
    case $want-$1 in
    build-demo | build-test | demo-test) return 1 ;;
    esac
}
# need STAGE PACKAGES PROBE...: stages include the ones before
need() {
    is_wanted "$1" || return 0
    packages=$2
    shift 2
    "$@" || missing="$missing $packages"
}
# wish STAGE PACKAGES PROBE...: the tests go on without these and count what they skip
wish() {
    is_wanted "$1" || return 0
    packages=$2
    shift 2
    "$@" || wished="$wished $packages"
}

# Debian's names; the probes hold for any system.
look() {
    missing=
    wished=
    need build "gcc libc6-dev" has_compiler
    need build "ninja-build" has_command ninja
    need build "meson" has_command meson
    need build "pkg-config" has_command pkg-config
    need build "libjansson-dev" has_library jansson
    need build "libyaml-dev" has_library yaml-0.1
    need build "libutf8proc-dev" has_library libutf8proc
    need build "libpcre2-dev" has_library libpcre2-8
    need build "libcurl4-openssl-dev" has_library libcurl
    need build "libssl-dev" has_library libcrypto
    need demo "python3 python3-pip ca-certificates" has_pip
    need test "libcmocka-dev" has_library cmocka
    need test "openssl" has_command openssl
    need test "clang-format" has_command clang-format
    wish test "gcc-aarch64-linux-gnu libc6-dev-arm64-cross" has_arm_compiler
    wish test "qemu-user" has_command qemu-aarch64
}

# Ends this script well if only wishes are left.
give_up_wishes() {
    [ -z "$missing" ] || return 0
    echo "setup.sh: going on without$wished" >&2
    exit 0
}

look
[ -n "$missing$wished" ] || exit 0

if ! has_command apt-get; then
    give_up_wishes
    echo "setup.sh: no apt-get here; install what Debian calls:$missing" >&2
    exit 1
fi
if [ "$(id -u)" = 0 ]; then
    as_root=env
elif has_command sudo; then
    as_root="sudo env"
else
    give_up_wishes
    echo "setup.sh: neither root nor sudo; as root: apt-get install$missing" >&2
    exit 1
fi

# Set here and not in `env`'s arguments only for what apt starts; sudo would drop it.
apt() {
    # shellcheck disable=SC2086 # words
    $as_root DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 \
        -o Acquire::Retries=3 "$@"
}

echo "setup.sh: installing$missing$wished"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# A broken third-party list must not stop what the other lists have.
apt update > "$log" 2>&1 || echo "setup.sh: apt-get update had errors; going on" >&2
# shellcheck disable=SC2086 # words
if [ -n "$missing" ] && ! apt install -y --no-install-recommends $missing > "$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "setup.sh: apt-get install failed" >&2
    exit 1
fi
# shellcheck disable=SC2086 # words
[ -z "$wished" ] || apt install -y --no-install-recommends $wished > "$log" 2>&1 ||
    tail -n 2 "$log" >&2

look
if [ -n "$missing" ]; then
    echo "setup.sh: installed, but still not found:$missing" >&2
    exit 1
fi
[ -z "$wished" ] || give_up_wishes
