#!/bin/sh
# Checks the rules of the house: which file may include which, where the system's functions are
# called, and which sources are built. What a file is allowed to do follows from its path and the
# tables below, never from an exception in the text of the file.
# usage: tools/check_floors.sh [ROOT]; prints file:line: rule N: why, and fails if there is any.
set -eu
export LC_ALL=C
cd "${1:-$(dirname "$0")/..}"

# Room, floor, door. A file includes its own room, base/, and doors of rooms on lower floors.
export FLOORS='
base         0  *
graph        1  graph/graph.h
kernels      1  kernels/kernels.h
checkpoint   1  checkpoint/checkpoint.h
text         1  text/text.h
image        1  image/image.h
config       1  config/config.h
registry     1  registry/registry.h
models       2  models/models.h
onnx         2  onnx/onnx.h
store        3  store/store.h
providers    3  providers/provider.h
engine       4  engine/engine.h
tasks        5  tasks/tasks.h
front        6  gpux.h
app/bench    0  *
app/ui       0  *
app/server   0  *
app/cli      1  *
'

# What only some rooms may see: room, the paths that may (prefixes), besides the room itself.
export GUESTS='
kernels      providers/cpu/
providers    engine/ front/
models       store/ engine/ front/
checkpoint   models/ store/ engine/ front/
'

# What a room may see at most, besides itself and base/.
export HOSTS='
tasks        engine store text image
'

# Calls and headers with one address: words | files | of what.
export ADDRESSES='
malloc calloc realloc reallocarray free strdup strndup asprintf vasprintf posix_memalign aligned_alloc memalign getline getdelim open_memstream | base/memory.c | heap
dlopen dlsym dlclose | base/library.c | dynamic loading
pthread_create thrd_create | base/thread_pool.c app/server/batcher.c app/server/loop.c | threads
socket accept4 epoll_create1 epoll_wait | app/server/loop.c | sockets
<dlfcn.h> | base/library.c | dynamic loading
<jansson.h> | base/json.c | jansson
<yaml.h> | config/yaml.c | libyaml
<utf8proc.h> | text/unicode.c | utf8proc
<pcre2.h> | text/regex.c | pcre2
<openssl/ | base/hash.c app/server/tls.c | OpenSSL
<curl/ | registry/download.c | libcurl
<zlib.h> | base/inflate.c | zlib
<jpeglib.h> <turbojpeg.h> <png.h> <webp/ | image/decode.c | image libraries
'

# Static data that changes: the allocator is process-wide, and so are the hooks through which jansson
# reaches it.
export STATICS='
base/memory.c
base/json.c
'

files=$(find src app include test fuzz -type f \
    \( -name '*.c' -o -name '*.h' -o -name '*.inc' -o -name '*.def' \) | sort)
builds="meson.build $(find src app test fuzz -name meson.build)"
EXISTING="$files
$(find tools scripts -type f)"
export EXISTING

# shellcheck disable=SC2086 # file names have no spaces
awk '
function complain(line, rule, text) {
    printf "%s:%d: rule %s: %s\n", FILENAME, line, rule, text
    violations++
}
function starts(text, prefix) {
    return substr(text, 1, length(prefix)) == prefix
}
# "graph/passes/x.c" -> "graph", "gpux.h" -> "front", "app/cli/x.c" -> "app/cli"
function room_of(path,   parts, n) {
    n = split(path, parts, "/")
    if (n == 1)
        return path == "gpux.h" ? "front" : path
    return parts[1] == "app" && n > 2 ? parts[1] "/" parts[2] : parts[1]
}
# The second folder: "kernels/gemm/gemm.c" -> "gemm", "kernels/kernels.c" -> ""
function drawer_of(path,   parts) {
    return split(path, parts, "/") > 2 ? parts[2] : ""
}
function is_guest(room, path,   list, n, i) {
    n = split(guests[room], list, " ")
    for (i = 1; i <= n; i++)
        if (starts(path, list[i]))
            return 1
    return 0
}
function check_drawers(line, target,   from, to, name) {
    from = drawer_of(path)
    to = drawer_of(target)
    if (room == "providers" && from != to && from != "" && to != "")
        complain(line, 1, "providers do not see each other: " target)
    if (room != "kernels" || from == "" || from == to || is_test)
        return
    name = target
    sub(/.*\//, "", name)
    if (to == "" && target != "kernels/types.h")
        complain(line, 2, "a drawer does not include what gathers the drawers: " target)
    else if (from == "vec" && to != "")
        complain(line, 1, "vec/ lies below the other drawers: " target)
    else if (to != "" && to != "vec" && (!starts(name, to) || name ~ /_(tmpl|isa)\.h$/))
        complain(line, 2, target " is private to its drawer")
}
function check_source(line, target, there,   list) {
    if (!(there in floor)) {
        complain(line, 1, "the room of \"" target "\" is not in the table of floors")
    } else if (there == "app" || starts(there, "app/")) {
        complain(line, 4, "the library knows nothing of the program: " target)
    } else if (there == room) {
        check_drawers(line, target)
    } else if (there == "base") {
        if (room == "kernels" && target == "base/tensor.h")
            complain(line, 3, "kernels take pointers, sizes and strides, not base/tensor.h")
    } else if (floor[there] > floor[room]) {
        complain(line, 1, room "/ includes upward: " target)
    } else if (there == "kernels" && !is_guest(there, path)) {
        complain(line, 3, "only providers/cpu/ may include kernels/: " target)
    } else if (room == "kernels" && there == "graph") {
        complain(line, 3, "kernels/ knows no graph: " target)
    } else if (floor[there] == floor[room] && !is_test) {
        complain(line, 1, room "/ and " there "/ are on one floor: " target)
    } else if (door[there] != "*" && target != door[there]) {
        complain(line, 2, "from outside only " door[there] " may be included, not " target)
    } else if (room in hosts && index(hosts[room], " " there " ") == 0 && !is_test) {
        complain(line, 3, room "/ speaks only to" hosts[room] "and base: " target)
    } else if (there in guests && !is_guest(there, path) && !is_test) {
        complain(line, there == "providers" ? 3 : 1, room "/ does not see " there "/: " target)
    }
}
function check_program(line, target, there) {
    if (target == "gpux.h" || there == "base" || there == room)
        return
    if (!starts(there, "app/"))
        complain(line, 4, "app/ includes gpux.h, base/ and itself, not " target)
    else if (!(there in floor))
        complain(line, 4, "the room of \"" target "\" is not in the table of floors")
    else if (floor[there] >= floor[room])
        complain(line, 4, room "/ knows nothing of " there "/: " target)
}
function check_include(line, target,   there) {
    if (target ~ /(^|\/)\.\.?\// || (target !~ /\// && target != "gpux.h")) {
        complain(line, 7, "includes are rooted at src/: \"" target "\"")
        return
    }
    if (!(("src/" target) in exists) && !(("include/" target) in exists) && !(target in exists)) {
        complain(line, 7, "no such file: \"" target "\"")
        return
    }
    there = room_of(target)
    if (half == "include")
        complain(line, 4, "the public header stands alone: \"" target "\"")
    else if (target ~ /^(test|fuzz)\// && (half == "src" || half == "app") && !is_test)
        complain(line, 1, "the product does not include tests: " target)
    else if (half == "src" && (target !~ /^test\// || !is_test))
        check_source(line, target, there)
    else if (half == "app" && target !~ /^test\//)
        check_program(line, target, there)
}
function check_addresses(line, code,   i) {
    for (i = 1; i <= addresses; i++)
        if (index(address_files[i], " " path " ") == 0 && code ~ address_pattern[i])
            complain(line, 5, address_name[i] " only in" address_files[i])
    if (half == "src" && code ~ /(^|[^A-Za-z0-9_.>])(printf|puts|putchar|perror|abort|exit|_exit)[ ]*\(/)
        complain(line, 5, "the library never prints, exits or aborts")
    if (half == "src" && code ~ /[^A-Za-z0-9_](stdout|stderr)[^A-Za-z0-9_]/)
        complain(line, 5, "the library never prints")
}
function check_isa(line, code) {
    if (code ~ /^[ \t]*#[ \t]*(if|ifdef|ifndef|elif).*__(AVX|SSE|FMA__|F16C|AMX|ARM_NEON|ARM_FEATURE)/)
        complain(line, 6, "the file suffix chooses the instructions, not #if")
    if (is_isa)
        return
    if (code ~ /^[ \t]*#[ \t]*include[ \t]*<([a-z0-9]*intrin|arm_neon|arm_sve)\.h>/)
        complain(line, 6, "intrinsics only in *_<isa>.c, vec_*.h and their templates")
    else if (code ~ /(^|[^A-Za-z0-9_])(_mm(256|512)?_[a-z]|_tile_|__m(64|128|256|512)|__mmask|(float|u?int)(8|16|32|64)x[0-9]+_t)/)
        complain(line, 6, "intrinsics only in *_<isa>.c, vec_*.h and their templates")
}
# `text` is a declaration up to its first of = ; ( { [
function is_mutable(text) {
    if (text ~ /\*/)
        sub(/.*\*/, "", text)
    return text !~ /(^|[^A-Za-z0-9_])const([^A-Za-z0-9_]|$)/
}
function check_static(line, code,   at, rest) {
    if (code ~ /(^|[^A-Za-z0-9_])(_Thread_local|__thread)([^A-Za-z0-9_]|$)/)
        complain(line, 5, "no mutable static data (thread-local)")
    if (pending == "" && code !~ /^[ \t]*static[ \t]/ &&
        (code !~ /^[A-Za-z_]/ || code ~ /^(typedef|enum|return|goto|else|[a-z_]+:|struct [A-Za-z]+;|union [A-Za-z]+;)/))
        return
    pending = pending " " code
    at = match(pending, /[=;({[]/)
    if (!at) {
        if (length(pending) > 400 || code ~ /^}/)
            pending = ""
        return
    }
    rest = substr(pending, at)
    code = substr(pending, 1, at - 1)
    pending = ""
    if (code ~ /^ *(struct|union)[^*]*$/ && rest ~ /^{/)
        return
    # What a signal handler can write; C has no other way.
    if (code ~ /static volatile sig_atomic_t/)
        return
    if (rest ~ /^\(/ && rest !~ /^\(\*/)
        return
    if (rest ~ /^{/ && code !~ /static/)
        return
    # A pointer to a function: what counts stands in the parentheses.
    if (is_mutable(rest ~ /^\(\*/ ? substr(rest, 1, index(rest, ")")) : code))
        complain(line, 5, "no mutable static data: " code)
}
function check_definition(line, code,   name) {
    if (code !~ /^[A-Za-z_][A-Za-z0-9_ *]*[ *][a-z_0-9]+\(/ || code ~ /^(static|typedef|return|else)[ \t]/)
        return
    name = code
    sub(/\(.*/, "", name)
    sub(/.*[ *]/, "", name)
    if (substr(name, length(name) - length(suffix) + 1) != suffix)
        complain(line, 6, name " should end in " suffix)
}
function begin_file() {
    half = FILENAME
    sub(/\/.*/, "", half)
    path = FILENAME
    sub(/^src\//, "", path)
    room = room_of(path)
    is_build = FILENAME ~ /meson\.build$/
    is_test = FILENAME ~ /_test\.[ch]$/
    in_house = (half == "src" || half == "app") && !is_test && !is_build
    is_isa = FILENAME ~ /_(avx|avx2|avx512|amx|neon|sve)(_[a-z0-9]+)*\.c$/ ||
             FILENAME ~ /^src\/kernels\/([a-z]+\/)?vec_[a-z0-9_]+\.h$/ ||
             FILENAME ~ /^src\/kernels\/.*_tmpl\.h$/ || FILENAME ~ /^test\/kernel_/
    suffix = ""
    if (FILENAME ~ /^src\/kernels\/.*_(avx|avx2|avx512|amx|neon|sve)(_[a-z0-9]+)*\.c$/) {
        suffix = FILENAME
        sub(/\.c$/, "", suffix)
        match(suffix, /_(avx|avx2|avx512|amx|neon|sve)(_[a-z0-9]+)*$/)
        suffix = substr(suffix, RSTART)
    }
    in_comment = 0
    in_macro = 0
    pending = ""
    folder = FILENAME
    sub(/[^\/]*$/, "", folder)
    if (in_house && half == "src" && !(room in floor))
        complain(1, 1, "the room " room "/ is not in the table of floors")
    if (in_house && half == "app" && !(room in floor))
        complain(1, 4, "the room " room "/ is not in the table of floors")
    if (FILENAME ~ /\.c$/ && (!is_test || (half != "src" && half != "app")))
        sources[FILENAME] = 1
    if (FILENAME ~ /\.inc$/)
        generators[FILENAME] = ""
}
function read_build(line,   parts, n, i) {
    sub(/(^|[ \t])#.*/, "", line)
    n = split(line, parts, "\047")
    for (i = 2; i <= n; i += 2)
        listed[folder parts[i]] = 1
}
# Comments go, strings and character constants become empty.
function strip(code,   at) {
    gsub(/\047(\\.|[^\047\\])\047/, "0", code)
    if (code !~ /^[ \t]*#[ \t]*include/)
        gsub(/"(\\.|[^"\\])*"/, "\"\"", code)
    if (in_comment) {
        at = index(code, "*/")
        if (!at)
            return ""
        in_comment = 0
        code = substr(code, at + 2)
    }
    sub(/\/\/.*/, "", code)
    while ((at = index(code, "/*"))) {
        rest_of = substr(code, at + 2)
        if (!index(rest_of, "*/")) {
            in_comment = 1
            return substr(code, 1, at - 1)
        }
        code = substr(code, 1, at - 1) " " substr(rest_of, index(rest_of, "*/") + 2)
    }
    return code
}
BEGIN {
    n = split(ENVIRON["EXISTING"], rows, "\n")
    for (i = 1; i <= n; i++)
        exists[rows[i]] = 1
    n = split(ENVIRON["FLOORS"], rows, "\n")
    for (i = 1; i <= n; i++)
        if (split(rows[i], parts, " ") == 3) {
            floor[parts[1]] = parts[2] + 0
            door[parts[1]] = parts[3]
        }
    n = split(ENVIRON["GUESTS"], rows, "\n")
    for (i = 1; i <= n; i++)
        if (split(rows[i], parts, " ") > 1)
            guests[parts[1]] = substr(rows[i], length(parts[1]) + 1)
    n = split(ENVIRON["HOSTS"], rows, "\n")
    for (i = 1; i <= n; i++)
        if (split(rows[i], parts, " ") > 1) {
            hosts[parts[1]] = substr(rows[i], length(parts[1]) + 1) " "
            gsub(/ +/, " ", hosts[parts[1]])
        }
    n = split(ENVIRON["STATICS"], rows, "\n")
    for (i = 1; i <= n; i++)
        statics[rows[i]] = 1
    n = split(ENVIRON["ADDRESSES"], rows, "\n")
    for (i = 1; i <= n; i++)
        if (split(rows[i], parts, "[|]") == 3) {
            addresses++
            m = split(parts[1], words, " ")
            calls = ""
            headers = ""
            for (j = 1; j <= m; j++) {
                if (starts(words[j], "<"))
                    headers = headers (headers == "" ? "" : "|") substr(words[j], 2)
                else
                    calls = calls (calls == "" ? "" : "|") words[j]
            }
            gsub(/\./, "[.]", headers)
            if (calls != "")
                pattern = "(^|[^A-Za-z0-9_.>])(" calls ")[ ]*[(]"
            else
                pattern = "^[ \t]*#[ \t]*include[ \t]*[<\"](" headers ")"
            address_pattern[addresses] = pattern
            address_files[addresses] = parts[2]
            address_name[addresses] = parts[3]
            sub(/^ /, "", address_name[addresses])
        }
}
FNR == 1 {
    begin_file()
}
is_build {
    read_build($0)
    next
}
FILENAME ~ /\.inc$/ {
    if (FNR <= 5 && match($0, /(tools|scripts)\/[A-Za-z0-9_]+\.[a-z]+/))
        generators[FILENAME] = substr($0, RSTART, RLENGTH)
    next
}
{
    code = strip($0)
    if (code == "")
        next
    if (code ~ /^[ \t]*#[ \t]*include/) {
        if (match(code, /"[^"]*"/))
            check_include(FNR, substr(code, RSTART + 1, RLENGTH - 2))
        else if (match(code, /<[^>]*>/)) {
            target = substr(code, RSTART + 1, RLENGTH - 2)
            if (("src/" target) in exists || ("include/" target) in exists || target in exists)
                complain(FNR, 7, "our own headers stand in quotes: <" target ">")
        }
    }
    if (half == "src" || half == "app")
        check_isa(FNR, code)
    if (in_house) {
        check_addresses(FNR, code)
        was_macro = in_macro
        in_macro = code ~ /\\$/ && (was_macro || code ~ /^[ \t]*#/)
        if (!was_macro && code !~ /^[ \t]*#/ && !(path in statics) && FILENAME ~ /\.[ch]$/)
            check_static(FNR, code)
        if (suffix != "" && !was_macro)
            check_definition(FNR, code)
    }
}
END {
    for (name in sources) {
        target = name
        sub(/_fuzz\.c$/, "", target)
        FILENAME = name
        if (!(name in listed) && !(target in listed))
            complain(1, 7, "not listed in a meson.build")
    }
    for (name in generators) {
        FILENAME = name
        if (generators[name] == "" || !(generators[name] in exists))
            complain(1, 7, "a generated table names its generator, such as tools/make_x.py")
    }
    exit violations > 0
}' $builds $files
