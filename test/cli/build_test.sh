#!/bin/sh
# gpux build: what it checks, what it leaves in .gpux/, and what later runs make of it.
. "$(dirname "$0")/lib.sh"
converted bert-classify model || exit 1
add_tokenizer model

# A record in which bf16 and one thread were best, whatever this machine measured.
prefer_bf16() {
    sed -e 's/^  "precision": "[a-z0-9]*"/  "precision": "bf16"/' -e 's/^  "threads": [0-9]*/  "threads": 1/' "$1/.gpux/tuning.json" >record && mv record "$1/.gpux/tuning.json"
}

begin 'a build checks, measures and says so'
gpux build model; code 0; is_plain
for line in 'Parsing configuration...' 'Validating model path...' 'Inspecting model...' 'Checking provider...' 'Optimizing model...' 'Measuring bf16 against fp32...' 'Measuring int8 against fp32...' 'Preparing weights in ' 'Saving build artifacts...'; do err_has "$line"; done
for table in 'Model Information' 'Execution Provider' 'Input Specifications' 'Output Specifications' 'Measured Precisions'; do out_has "$table"; done
out_matches '^Name +model$'; out_matches '^Version +1\.0\.0$'; out_matches '^Format +onnx$'; out_matches '^Size +[0-9.]+ KB$'; out_matches '^Inputs +3$'; out_matches '^Outputs +1$'
out_matches '^Provider +CPUExecutionProvider$'; out_matches '^Available +✅ Yes$'; out_matches '^Description +Universal CPU fallback$'
out_matches '^input_ids +int64 +Dynamic +✅$'; out_matches '^logits +float32 +\[batch, 3\]$'
out_has '✅ Build completed successfully!'; out_has "Build artifacts saved to: $PWD/model/.gpux"
for file in model_info provider_info tuning; do file_exists model/.gpux/$file.json; done
file_has model/.gpux/model_info.json '"name": "model"'; file_has model/.gpux/provider_info.json '"provider": "CPUExecutionProvider"'
file_has model/.gpux/tuning.json '"sha256"'; file_has model/.gpux/tuning.json '"label_agreement_limit": 0.999'; end

begin 'the project here is the default, and its file will do'
cd model || exit 1
gpux build --no-optimize; code 0; out_has 'Build completed'
cd ..
gpux build model/gpux.yml --no-optimize; code 0
cp model/gpux.yml model/other.yml; sed -i 's/^name: .*/name: other/' model/other.yml
gpux build model -c other.yml --no-optimize; code 0; out_matches '^Name +other$'
gpux build model -c ./model/other.yml --no-optimize; code 0; out_matches '^Name +other$'; end

begin '--json prints the report and nothing else'
gpux build model --json; code 0; out_lacks 'Build completed'
for key in model_info provider_info artifacts warnings tuning; do out_matches "^  \"$key\":"; done
out_has "\"$PWD/model/.gpux/model_info.json\""; end

begin '--no-optimize measures and prepares nothing'
rm -rf model/.gpux
gpux build model --no-optimize; code 0; file_is_absent model/.gpux/tuning.json; file_exists model/.gpux/provider_info.json; out_lacks 'Measured Precisions'
gpux build model --no-optimize --tune; code 2; err_has '--no-optimize measures nothing'; end

begin 'a written precision is prepared without measuring'
gpux build model --precision int8; code 0; err_has 'Preparing weights in int8...'; out_lacks 'Measured Precisions'; file_is_absent model/.gpux/tuning.json
gpux build model --precision fp16; code 2; err_has "'fp16' is not one of auto, fp32, bf16, int8"; end

begin '--tune also finds the threads'
gpux build model --tune --json; code 0; out_matches '"goal": "latency"'; out_matches '^    "threads": [1-9]'; out_has '"thread_times"'
gpux build model --tune throughput --json; code 0; out_matches '"goal": "throughput"'; err_has 'Measuring threads for throughput'
gpux build --tune model; code 0; out_matches '^Goal +latency$'
gpux build model --tune=speed; code 2; err_has "'speed' is not one of latency, throughput"; end

begin 'auto is what the record allows, for this model on this CPU'
gpux build model --tune; prefer_bf16 model
gpux run ./model good -v; code 0; err_has 'bf16, '; err_has '1 threads'
gpux run ./model good -v --precision auto; code 0; err_has 'bf16, '
gpux run ./model good -v --precision fp32 --threads 2; code 0; err_has 'fp32, '; err_has '2 threads'
GPUX_CPU_LEVEL=ref gpux run ./model good -v; code 0; err_has 'fp32, '; err_has 'tuning.json is ignored: it is of another kind of CPU'
cp -r model copied
gpux run ./copied good -v; code 0; err_has 'bf16, '
printf 'x' >>copied/model.safetensors
gpux run ./copied good -v; err_has 'tuning.json is ignored: the model has changed since'
echo '{' >model/.gpux/tuning.json
gpux run ./model good -v; code 0; err_has 'tuning.json is ignored: '; err_has 'fp32, '; end

begin 'a dataset takes the place of the built-in texts'
printf '\357\273\277{"inputs": "a good film", "label": "green"}\n\n{"inputs": "bad"}\n' >data.jsonl
gpux build model --dataset data.jsonl --json; code 0; out_has '"source": "dataset"'; out_matches '"requests": 2'
printf '{"inputs": "good"}\n{"inputs": 5}\n' >bad.jsonl
gpux build model --dataset bad.jsonl; code 1; err_has 'Build failed: dataset line 2: '
printf '\n\n' >blank.jsonl
gpux build model --dataset blank.jsonl; code 1; err_has "there is no request in 'blank.jsonl'"
gpux build model --dataset nowhere.jsonl; code 1; err_has 'Error loading dataset: '; end

begin 'the provider of the last build is the default of later runs'
gpux build model -p cuda --no-optimize; code 0; err_has "Provider 'cuda' is not available"; file_has model/.gpux/provider_info.json '"requested": "cuda"'; out_matches '^Provider +CPUExecutionProvider$'
gpux run ./model good; code 0; err_has "Provider 'cuda' is not available"
gpux run ./model good -p cpu; code 0; err_is_empty
sed -i 's/backend: auto/backend: cpu/' model/gpux.yml
gpux run ./model good; code 0; err_is_empty
sed -i 's/backend: cpu/backend: auto/' model/gpux.yml
gpux build model --no-optimize; gpux run ./model good; code 0; err_is_empty
export GPUX_PROVIDER=cuda
gpux build model --no-optimize; code 0; err_has "Provider 'cuda' is not available"; file_has model/.gpux/provider_info.json '"requested": null'
export GPUX_PROVIDER=nonsense
gpux build model --no-optimize; code 1; err_has "Error: Unknown provider 'nonsense'"
unset GPUX_PROVIDER
gpux build model -p nonsense; code 2; err_has "Error: Unknown provider 'nonsense'"; end

begin 'a built project is found by its name'
mkdir outer; cp -r model/. outer/; rm -f outer/other.yml
cd outer || exit 1
sed -i 's/^name: .*/name: another/' gpux.yml
gpux run model good; code 0; out_has '"label"'; err_is_empty
cd ..; end

begin 'unknown keys are warnings, and errors with --strict'
cp -r model odd; echo 'zzz: 1' >>odd/gpux.yml; sed -i 's/^  timeout: /  timeot: /' odd/gpux.yml
gpux build odd --no-optimize; code 0; err_has "Warning: Unknown key 'zzz'"
gpux run ./odd good -v; code 0; err_has "Warning: Unknown key 'zzz'"
gpux run ./odd good; code 0; err_is_empty
gpux build odd --no-optimize --strict; code 1; err_has "Build failed: Failed to parse configuration: "; err_has "Unknown key 'zzz'"; out_is_empty
gpux build model --no-optimize --strict; code 0; end

begin 'what contradicts the graph is a warning, and an error with --strict'
cp -r model wrong
sed -i 's/shape: \[1, 3\]/shape: [1, 4]/; s/labels: \[.*\]/labels: [a, b, c, d]/' wrong/gpux.yml
grep -q '4\]' wrong/gpux.yml || problem 'the configuration was not changed'
gpux build wrong --no-optimize; code 0; err_has "Warning: output 'logits' has size 4 at dim 1 in the configuration, 3 in the graph"
gpux build wrong --no-optimize --strict; code 1; err_has "Build failed: Configuration and model disagree: output 'logits'"; end

begin 'errors are those of the documentation'
gpux build nowhere; code 1; err_has 'Error: Configuration file not found: nowhere/gpux.yml'; err_has 'Hint: gpux pull nowhere'
gpux build ./nowhere; code 1; err_has 'not found: ./nowhere/gpux.yml'; err_lacks 'Hint'
mkdir -p empty && gpux build empty; code 1; err_has 'Error: Configuration file not found: empty/gpux.yml'; err_lacks 'Hint'
mkdir -p raw && cp model/config.json raw && gpux build raw; code 1; err_has 'raw/gpux.yml'; err_has 'Hint: gpux convert raw'
mkdir p; printf 'name: x\nmodel: {source: ./gone.onnx}\ninputs: {a: int64}\noutputs: {b: float32}\n' >p/gpux.yml
gpux build p; code 1; err_has "Error: Model file not found: $PWD/p/gone.onnx"
printf 'name: x\nmodel: {source: "https://example.org/m.onnx"}\ninputs: {a: int64}\noutputs: {b: float32}\n' >p/gpux.yml
gpux build p; code 1; err_has 'Build failed: HTTP model sources are not supported yet'
: >p/gpux.yml; gpux build p; code 1; err_has 'Build failed: Failed to parse configuration: Configuration file is empty'
printf 'model: {source: ./m.onnx}\ninputs: {a: int64}\n' >p/gpux.yml
gpux build p; code 1; err_has "missing required field 'name'"; err_has 'At least one output must be specified'
echo x >p/m.onnx; printf 'name: x\nmodel: {source: ./m.onnx}\ninputs: {a: int64}\noutputs: {b: float32}\n' >p/gpux.yml
gpux build p; code 1; err_has 'Build failed: Invalid ONNX model: '
file_is_absent p/.gpux; gpux build one two; code 2; end

begin 'a cached model is built by its name'
mkdir -p "$temp/home/.gpux/models/huggingface/org--tiny"
cp -r model "$temp/home/.gpux/models/huggingface/org--tiny/main"
gpux build org/tiny; code 0; file_exists "$temp/home/.gpux/models/huggingface/org--tiny/main/.gpux/tuning.json"; end

begin 'a folder that cannot be written is an error'
if [ "$(id -u)" -ne 0 ]; then
    cp -r model locked; rm -rf locked/.gpux; chmod a-w locked
    gpux build locked --no-optimize; code 1; err_has 'Build failed: '
    chmod u+w locked
fi
cp -r model blocked; rm -rf blocked/.gpux; : >blocked/.gpux
gpux build blocked --no-optimize; code 1; err_has 'Build failed: '
gpux run ./blocked good; code 0; end

summary
