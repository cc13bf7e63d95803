#!/bin/sh
# gpux inspect: the machine, a model, a file; tables and JSON.
. "$(dirname "$0")/lib.sh"
converted bert-classify model || exit 1

begin 'inspect without a model shows the providers in order'
gpux inspect; code 0; is_plain
for text in 'Available Execution Providers' 'Provider Priority' 'CPUExecutionProvider' 'Universal CPU fallback' '✅ Yes' 'Not Available'; do out_has "$text"; done
out_matches '7 +CPUExecutionProvider +Available'; end

begin 'inspect --json names every provider'
gpux inspect --json; code 0
for text in '"available_providers"' '"provider_details"' '"TensorrtExecutionProvider"' '"description"'; do out_has "$text"; done; end

begin 'inspect of a model prints its tables'
gpux inspect ./model; code 0; is_plain
for text in Configuration 'Model Information' 'Input Specifications' 'Output Specifications' 'Runtime Information' 'Model Source' '30s' '2GB' text-classification; do out_has "$text"; done
out_has 'red, green, blue'; end

begin 'inspect --json has configuration and model_info'
gpux inspect ./model --json; code 0
for text in '"config"' '"model_info"' '"size_bytes"' '"size_mb"' '"opset_version"' '"input_ids"' '"runtime"' '"timeout"'; do out_has "$text"; done
gpux inspect ./model --json-output; code 0; out_has '"model_info"'; end

begin 'inspect --model reads a bare file'
gpux inspect --model model/model.onnx; code 0
out_has 'Model Information'; out_has input_ids; out_lacks 'Configuration'
gpux inspect -m model/model.onnx --json; code 0; out_has '"inputs"'; out_lacks '"config"'; out_matches '"name": ?"model"'; end

begin 'inspect --graph shows the plan'
gpux inspect ./model --graph; code 0; out_has 'Execution Plan'
gpux inspect -m model/model.onnx --graph; code 0; out_has 'Execution Plan'
gpux inspect ./model --graph --json; code 0; out_has '"plan"'
gpux inspect --graph; code 2; end

begin 'inspect works on every golden model'
for folder in "$models"/*/; do
    copy=all-$(basename "$folder")
    converted "$(basename "$folder")" "$copy" || problem "cannot convert $folder"
    gpux inspect "./$copy"; code 0
done; end

begin 'the configuration file, its folder and the name in it lead to the same model'
gpux inspect ./model/gpux.yml; code 0; out_has text-classification
gpux inspect model; code 0; out_has text-classification
cd model || exit 1
gpux inspect .; code 0; out_has text-classification
cd ..; end

begin 'a name that leads nowhere lists where gpux looked'
gpux inspect no/such-model; code 1; out_is_empty
err_has "Error: Model 'no/such-model' not found"
for text in 'Searched locations:' '  ✗ Explicit path: no/such-model' '  ✗ Current directory: ./gpux.yml' '  ✗ Cache directory: ~/.gpux/models/' '  ✗ Build directory: ./.gpux/' 'Suggestions:' '  • Check model name spelling'; do err_has "$text"; done; end

begin 'the real cache root is printed when it is not the default'
gpux inspect nothing --cache-dir "$temp/cache"; code 1; err_has "Cache directory: $temp/cache"; end

begin 'a missing model file exits 1'
gpux inspect --model nowhere.onnx; code 1; err_has 'Error: Model file not found: nowhere.onnx'; end

begin 'a file that is no model is refused'
echo 'not a model' >junk.onnx
gpux inspect -m junk.onnx; code 1; out_is_empty; err_has 'Inspect failed: Invalid ONNX model: '; end

begin 'a configuration with an error names line and column'
mkdir broken
printf 'name: x\nmodel: {source: [\n' >broken/gpux.yml
gpux inspect ./broken; code 1; err_has 'Invalid YAML in configuration file'; err_matches 'line [0-9]+'; end

begin 'a model whose file is gone exits 1'
cp -r model gone
rm gone/model.onnx
gpux inspect ./gone; code 1; err_has 'Error: Model file not found'; end

summary
