#!/bin/sh
# gpux batch run: order, failing lines, resuming, where answers go.
. "$(dirname "$0")/lib.sh"
converted bert-classify model || exit 1
add_tokenizer model

# 2,500 requests of mixed length: more than two windows.
awk 'BEGIN {
    split("good bad film films a", words, " ")
    for (i = 0; i < 2500; i++) {
        text = words[i % 5 + 1]
        for (j = 0; j < i * 7 % 8; j++)
            text = text " " words[(i + j) % 5 + 1]
        print "{\"inputs\": \"" text "\"}"
    }
}' >requests.jsonl
"$binary" run ./model -f requests.jsonl >expected.jsonl

begin 'answers are those of single requests, in the order of the lines'
[ "$(wc -l <expected.jsonl)" -eq 2500 ] || problem 'gpux run has no 2500 answers'
gpux batch run ./model requests.jsonl; code 0; err_is_empty
cmp -s "$temp/out" expected.jsonl || problem 'the answers differ'; end

begin 'neither the size of a batch nor the number of jobs or threads changes an answer'
gpux batch run ./model requests.jsonl --batch 3 --jobs 3 --threads 1; code 0
cmp -s "$temp/out" expected.jsonl || problem 'the answers differ'
gpux batch run ./model requests.jsonl --batch 1 --jobs 1 --threads 2; code 0
cmp -s "$temp/out" expected.jsonl || problem 'the answers differ'; end

begin 'the hub form and the raw form'
head -n 3 requests.jsonl >three.jsonl
gpux batch run ./model three.jsonl --format hf; code 0; out_matches '^\[\[\{"label"'
gpux batch run ./model three.jsonl --format raw; code 0; out_matches '^\{"logits"'; end

begin '-o writes the answers and says where'
gpux batch run ./model requests.jsonl -o answers.jsonl; code 0; err_is_empty
out_is 'Results saved to: answers.jsonl'; cmp -s answers.jsonl expected.jsonl || problem 'the answers differ'
gpux batch run ./model three.jsonl -o answers.jsonl; code 0
[ "$(wc -l <answers.jsonl)" -eq 3 ] || problem 'the old answers are still there'; end

begin 'requests come from stdin'
"$binary" batch run ./model - <requests.jsonl >stdin.jsonl 2>"$temp/err"; status=$?; last_command='... | gpux batch run -'
code 0; cmp -s stdin.jsonl expected.jsonl || problem 'the answers differ'; end

begin 'a file without requests has no answers'
gpux_with_stdin '' batch run ./model -; code 0; out_is_empty; err_is_empty
printf '\n  \n' >blank.jsonl
gpux batch run ./model blank.jsonl -o blank.out; code 0; [ -f blank.out ] && [ ! -s blank.out ] || problem 'blank.out is not empty'; end

begin 'a line that fails has an error for an answer and the others go on'
printf '{"inputs": "good"}\n{bad\n\n{"wrong": 1}\n"bad film"\n[{"inputs": "good"}, {"inputs": "bad"}]\n{"inputs": "good"}' >some.jsonl
gpux batch run ./model some.jsonl; code 1
[ "$(wc -l <"$temp/out")" -eq 6 ] || problem "$(wc -l <"$temp/out") lines, not 6"
sed -n 2p "$temp/out" | grep -q '^{"error":"Invalid JSON: .*: line 2 column [0-9]*"}$' || problem "line 2: $(sed -n 2p "$temp/out")"
sed -n 3p "$temp/out" | grep -q '^{"error":"line 4: Missing required input' || problem "line 3: $(sed -n 3p "$temp/out")"
sed -n 5p "$temp/out" | grep -q '^\[{"logits"' || problem "line 5: $(sed -n 5p "$temp/out")"
[ "$(sed -n 1p "$temp/out")" = "$(sed -n 6p "$temp/out")" ] || problem 'equal requests have different answers'
err_has 'Run failed: 2 of 6 lines; the first: Invalid JSON'; end

begin 'unknown parameters are warned about once'
printf '{"inputs": "good"}\n{"inputs": "good", "colour": 1}\n{"inputs": "good", "colour": 1}\n' >colour.jsonl
gpux batch run ./model colour.jsonl; code 0; err_has 'Warning: line 2: Ignored unknown parameters: colour'
[ "$(wc -l <"$temp/err")" -eq 1 ] || problem 'more than one warning'; end

begin '--resume goes on where the answers end and cuts a torn line'
for kept in 0 1 1023 1024 2499 2500; do
    head -n $kept expected.jsonl >resumed.jsonl
    [ $kept -eq 2500 ] || sed -n "$((kept + 1))p" expected.jsonl | head -c 20 >>resumed.jsonl
    gpux batch run ./model requests.jsonl -o resumed.jsonl --resume; code 0
    cmp -s resumed.jsonl expected.jsonl || problem "after $kept answers the file differs"
    [ $kept -eq 0 ] || err_has "Resuming after $kept answers"
done
rm resumed.jsonl
gpux batch run ./model three.jsonl -o resumed.jsonl --resume; code 0
[ "$(wc -l <resumed.jsonl)" -eq 3 ] || problem 'a new file is not begun'; end

begin '--resume refuses the answers of another file'
gpux batch run ./model three.jsonl -o expected-copy.jsonl --resume; code 0
cp expected.jsonl expected-copy.jsonl
gpux batch run ./model three.jsonl -o expected-copy.jsonl --resume; code 1; err_has 'does not belong to this file'
cmp -s expected.jsonl expected-copy.jsonl || problem 'the file was changed'; end

begin '--resume needs --output, and a plain file'
gpux batch run ./model three.jsonl --resume; code 2; err_has '--resume needs --output'
gpux batch run ./model three.jsonl --resume -o /dev/null; code 1; err_has 'plain file'; end

begin 'an interrupted batch is resumed to the same answers'
i=0
while [ $i -lt 40 ]; do cat requests.jsonl; i=$((i + 1)); done >many.jsonl
sh -c 'echo $$ >pid; exec "$1" batch run ./model many.jsonl -o many.out' sh "$binary" >/dev/null 2>&1 &
tries=0
until [ -s many.out ] || [ $tries -ge 200 ]; do sleep 0.02; tries=$((tries + 1)); done
kill -s TERM "$(cat pid)"; wait $!
status=$?; last_command='gpux batch run, SIGTERM'; code 143
[ "$(wc -l <many.out)" -lt 100000 ] || problem 'it was not interrupted'
gpux batch run ./model many.jsonl -o many.out --resume; code 0; err_has 'Resuming after'
i=0
while [ $i -lt 40 ]; do cat expected.jsonl; i=$((i + 1)); done | cmp -s - many.out || problem 'the answers differ'; end

begin 'memory does not grow with the file'
peak() {
    "$binary" batch run ./model "$1" -o peak.out & pid=$!
    top=0
    while kill -0 $pid 2>/dev/null; do
        now=$(awk '/VmHWM/ { print $2 }' /proc/$pid/status 2>/dev/null)
        [ -n "$now" ] && [ "$now" -gt "$top" ] && top=$now
    done
    wait $pid
    echo "$top"
}
small=$(peak requests.jsonl | tail -n 1)
large=$(peak many.jsonl | tail -n 1)
# Sanitizers keep freed blocks for a while.
if ! grep -q __asan "$binary"; then
    [ "$large" -lt $((small + 8192)) ] || problem "$small KB for 2,500 lines, $large KB for 100,000"
fi; end

begin 'the answers cannot go into the file of the requests'
cp three.jsonl same.jsonl
gpux batch run ./model same.jsonl -o same.jsonl; code 1; err_has 'file of the requests'
cmp -s three.jsonl same.jsonl || problem 'the requests were changed'
ln -s same.jsonl link.jsonl
gpux batch run ./model same.jsonl -o link.jsonl; code 1; cmp -s three.jsonl same.jsonl || problem 'the requests were changed'; end

begin 'what is wrong before the first line leaves the answers alone'
echo old >kept.jsonl
gpux batch run ./model nowhere.jsonl -o kept.jsonl; code 1; err_has "Error loading input file: No such file or directory: 'nowhere.jsonl'"
gpux batch run ./nowhere three.jsonl -o kept.jsonl; code 1; err_has 'not found'
gpux batch run ./model three.jsonl -o kept.jsonl -p warp; code 2
gpux batch run ./model . -o kept.jsonl; code 1; err_has 'Is a directory'
gpux batch run ./model three.jsonl -o nowhere/x.jsonl; code 1; err_has 'No such file or directory'
[ "$(cat kept.jsonl)" = old ] || problem 'the file was changed'; end

begin 'a full disk and a closed pipe end the batch'
if [ -w /dev/full ]; then
    gpux batch run ./model requests.jsonl -o /dev/full; code 1; err_has 'Cannot write output file: No space left on device'
    "$binary" batch run ./model requests.jsonl >/dev/full 2>"$temp/err"; status=$?; last_command='gpux batch run >/dev/full'
    code 1; err_has 'Cannot write to standard output: No space left on device'
fi
{ "$binary" batch run ./model requests.jsonl 2>"$temp/err"; echo $? >status; } | head -n 1 >"$temp/out"
last_command='gpux batch run | head -n 1'; err_is_empty; [ "$(cat "$temp/out")" = "$(head -n 1 expected.jsonl)" ] || problem 'not the first answer'; end

begin 'commands of two words have their help and their errors'
gpux batch run --help; code 0; out_has 'Usage: gpux batch run [OPTIONS] MODEL_NAME FILE'; out_has '--resume'
gpux help batch run; code 0; out_has '--resume'
gpux batch; code 2; out_is_empty; err_has 'batch run'
gpux batch --help; code 0; out_has 'batch run'
gpux help batch; code 0; out_has 'batch run'
gpux batch rnu; code 2; err_has "Did you mean 'gpux batch run'?"
gpux batch run ./model; code 2; err_has "Missing argument 'FILE'"; err_has "Try 'gpux batch run --help'"
gpux batch run ./model three.jsonl --batch 0; code 2; end

summary
