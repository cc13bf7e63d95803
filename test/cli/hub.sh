# The small hub of test/hub/server.py for a test of the command line; sourced after lib.sh.
#
# It serves org/classify and org/sentences, small models that run, org/bare without a tokenizer, and
# the repositories of server.py, whose weights are noise. It ends with the test.

[ -n "$(command -v python3)" ] || {
    echo "$0: python3 is missing"
    exit 1
}
golden=$(dirname "$models")
mkfifo "$temp/to_hub" "$temp/from_hub"
python3 "$here/../hub/server.py" --folder "org/classify=$golden/tasks/classify" \
    --folder "org/sentences=$golden/tasks/sentences-mean" \
    --folder "org/bare=$models/bert-classify" <"$temp/to_hub" >"$temp/from_hub" 2>"$temp/hub.log" &
exec 3>"$temp/to_hub" 4<"$temp/from_hub"
read -r ports <&4
hub=$(echo "$ports" | sed 's/.*"hub": \([0-9]*\).*/\1/')
for variable in HF_TOKEN HUGGING_FACE_HUB_TOKEN HUGGINGFACE_HUB_TOKEN HF_HOME HF_HUB_CACHE \
    HF_TOKEN_PATH XDG_CACHE_HOME HF_HUB_OFFLINE TRANSFORMERS_OFFLINE; do
    unset $variable
done
export HF_ENDPOINT="http://127.0.0.1:$hub" NO_PROXY=127.0.0.1,localhost no_proxy=127.0.0.1,localhost
cache="$HOME/.gpux/models"

# One command in JSON; its answer is kept in $answer.
hub_say() {
    echo "$1" >&3
    read -r answer <&4
}

# The number of requests to the hub and its CDN since the last time.
hub_requests() {
    hub_say '{"cmd": "log"}'
    echo "$answer" | grep -o '"method"' | wc -l
}

# Runs gpux on a terminal of $1 columns: waits for the text $2, types $3 (may hold escapes of
# printf), and keeps everything that was shown as stdout.
gpux_on_terminal() {
    columns=$1
    expect=$2
    typed=$(printf "$3")
    shift 3
    last_command="gpux $* (on a terminal)"
    python3 "$here/terminal.py" "$columns" "$expect" "$typed" "$binary" "$@" >"$temp/out" \
        2>"$temp/err" </dev/null
    status=$?
}
