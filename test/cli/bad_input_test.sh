#!/bin/sh
# gpux run with something wrong: the documented messages, their order, the exit codes.
. "$(dirname "$0")/lib.sh"
converted bert-classify model || exit 1
add_tokenizer model

begin 'no input is an error with a way out'
gpux run ./model; code 1; out_is_empty; err_has 'Error: No input data provided'
gpux run ./model -i '{}'; code 1; err_has 'Error: No input data provided'
gpux run ./model -i ''; code 1; err_has 'Error: No input data provided'
gpux_with_stdin '' run ./model -i -; code 1; err_has 'Error: No input data provided'; end

begin 'JSON that does not parse is named with line and column'
gpux run ./model -i '{"inputs": "x"'; code 1; out_is_empty; err_matches '^Error parsing input JSON: .*: line 1 column [0-9]+$'
printf '{"inputs":\n  oops}' >bad.json
gpux run ./model -f bad.json; code 1; err_matches '^Error parsing input JSON: .*: line 2 column [0-9]+$'
gpux run ./model -i 'hello world'; code 1; err_has 'Error parsing input JSON: '; err_has '--text'; end

begin 'a bad line of a .jsonl file is named'
printf '{"inputs": "a"}\n\n{"inputs": \n' >bad.jsonl
gpux run ./model -f bad.jsonl; code 1; err_matches '^Error parsing input JSON: .*: line 3 column [0-9]+$'
printf '{"inputs": "a"}\n{"wrong": 1}\n' >wrong.jsonl
gpux run ./model -f wrong.jsonl; code 1; err_has 'Run failed: line 2: Missing required input'; end

begin 'a missing input file is named'
gpux run ./model -f nowhere.json; code 1; err_has "Error loading input file: No such file or directory: 'nowhere.json'"
gpux run ./model -i @nowhere.json; code 1; err_has "Error loading input file: No such file or directory: 'nowhere.json'"
gpux run ./model -f .; code 1; err_has "Error loading input file: Is a directory: '.'"; end

begin 'a missing input is named'
gpux run ./model -i '{"parameters": {}}'; code 1; err_has "Run failed: Missing required input: 'inputs'"; end

begin 'inputs of the wrong type are refused'
gpux run ./model -i '{"inputs": 12}'; code 1; out_is_empty; err_has 'Run failed: '
gpux run ./model -i '12'; code 1; err_has 'Run failed: '; end

begin 'raw tensors are checked'
gpux run ./model -i '{"input_ids": [[1, 2], [3]]}'; code 1; err_has "Run failed: Input 'input_ids' is not rectangular"
gpux run ./model -i '{"input_ids": [[1, 2]], "bogus": [[1, 2]]}'; code 1; err_has "Run failed: Unexpected input: 'bogus'"
gpux run ./model -i '{"input_ids": [[1, 999999]]}'; code 1; err_has 'Run failed: '
gpux run ./model -i '{"input_ids": [[1.5, 2]]}'; code 1; err_has "Run failed: Invalid input type for 'input_ids'"
gpux run ./model -i '{"input_ids": [[1, 2]], "attention_mask": [[1, 1, 1]]}'; code 1; err_has 'Run failed: '; end

begin 'one bad element fails the batch and is named'
gpux run ./model -i '[{"inputs": "good"}, {"wrong": 1}]'; code 1; out_is_empty; err_has 'Run failed: '; err_matches '1'; end

begin 'a missing model comes before a missing input'
gpux run ./nowhere -f nowhere.json; code 1; err_has "Model './nowhere' not found"; end

begin 'a bad input comes before an unusable engine'
gpux run ./model -f nowhere.json -p tensorrt; code 1; err_has 'Error loading input file'; end

begin 'an unknown provider is a usage error on the command line and a failure elsewhere'
gpux run ./model good -p bogus; code 2; err_has "Error: Unknown provider 'bogus'. Valid providers: auto, tensorrt, cuda, rocm, coreml, directml, openvino, cpu"
export GPUX_PROVIDER=bogus
gpux run ./model good; code 1; err_has "Error: Unknown provider 'bogus'"
gpux run ./model good -p cpu; code 0
unset GPUX_PROVIDER; end

begin 'a provider that is not there falls back with a warning'
gpux run ./model good -p rocm; code 0; err_has "Warning: Provider 'rocm' is not available"; err_has 'using CPUExecutionProvider'; out_has '"logits"'; end

begin 'several inputs: --file wins and the others are named'
echo '{"inputs": "good"}' >good.json
gpux run ./model -f good.json -i '{"inputs": "bad"}'; code 0; err_has 'Warning: --input is ignored because --file is given'; end

begin 'benchmark options without --benchmark are warned about'
gpux run ./model good --runs 5; code 0; err_has 'Warning: --runs has no effect without --benchmark'; end

begin 'a configuration that is wrong is reported'
cp -r model wrong
printf 'name: wrong\nmodel:\n  source: ./model.onnx\nruntime:\n  timeout: -1\ninputs: [{name: inputs, type: string}]\noutputs: [{name: logits, type: float32}]\n' >wrong/gpux.yml
gpux run ./wrong good; code 1; out_is_empty; err_has 'timeout'; end

begin 'a cut model file is refused'
cp -r model cut
head -c 300 model/model.onnx >cut/model.onnx
gpux run ./cut good; code 1; out_is_empty; end

# Runs a long benchmark in the foreground and sends signal $1. A background job ignores SIGINT, and so
# does everything below one: the default is restored.
interrupted_by() {
    last_command="gpux run, SIG$1"
    rm -f "$temp/err" "$temp/pid"
    (
        tries=0
        until grep -q Running "$temp/err" 2>/dev/null || [ $tries -ge 100 ]; do
            sleep 0.1
            tries=$((tries + 1))
        done
        kill -s "$1" "$(cat "$temp/pid")"
    ) &
    sh -c 'echo $$ >"$2"; exec env --default-signal=INT,TERM "$1" run ./model --benchmark --seq-len 8 --runs 100000000' sh "$binary" "$temp/pid" >"$temp/out" 2>"$temp/err" </dev/null
    status=$?
    wait
}

begin 'an interrupt ends the run with 130, a termination with 143'
interrupted_by INT; code 130; err_has 'Interrupted by user'; out_is_empty
interrupted_by TERM; code 143; err_has 'Interrupted by user'; out_is_empty; end

summary
