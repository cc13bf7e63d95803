#!/bin/sh
# gpux convert: golden checkpoints, where results land, and bad checkpoints.
. "$(dirname "$0")/lib.sh"

for folder in "$models"/*/; do
    model=$(basename "$folder")
    begin "convert turns $model into a model with configuration and metadata"
    cp -r "$folder" "$model"
    gpux convert "$model"; code 0; is_plain
    out_has 'Configuration saved to:'
    file_exists "$model/model.onnx"; file_exists "$model/gpux.yml"; file_exists "$model/metadata.json"
    end
done

begin 'convert --json reports what was made'
cp -r "$models/bert-classify" report
gpux convert report --json; code 0
for key in path task architecture parameters format opset size_bytes convert_time_s warnings; do out_has "\"$key\""; done
out_has 'text-classification'; out_matches '"opset": ?18'; end

begin 'convert takes a file of the folder too'
cp -r "$models/bert-classify" byfile
gpux convert byfile/model.safetensors; code 0; file_exists byfile/gpux.yml; end

begin 'convert -o leaves the source as it is'
cp -r "$models/bert-classify" source
gpux convert source -o target; code 0; out_has 'target/gpux.yml'
file_exists target/model.onnx; file_exists target/gpux.yml; file_is_absent source/gpux.yml; file_is_absent source/model.onnx
gpux run ./target -i '{"input_ids": [[1, 2, 3]]}'; code 0; out_has 'logits'; end

begin 'convert takes the id of a cached model, and a mistyped name converts nothing'
mkdir -p "$HOME/.gpux/models/huggingface/org--tiny"
cp -r "$models/bert-classify" "$HOME/.gpux/models/huggingface/org--tiny/main"
gpux convert "$HOME/.gpux/models/huggingface/org--tiny/main"; code 0
gpux convert org/tiny --opset 21 --json; code 0; out_matches '"opset": ?21'; out_has 'huggingface/org--tiny/main'
gpux convert org/tinny; code 1; err_has 'Model folder not found: org/tinny'
cd report || exit 1
gpux convert reprot; code 1; err_has 'Model folder not found: reprot'
cd .. || exit 1; end

begin 'convert leaves no temporary files'
if find . -name '*.tmp*' | grep -q .; then problem "left: $(find . -name '*.tmp*')"; fi; end

begin 'an interrupted conversion leaves all files or none'
cp -r "$models/bert-classify" origin
tries=0
for delay in 0 0.001 0.002 0.003 0.004 0.005 0.006 0.008 0.01 0.012 0.015 0.02; do
    for signal in INT TERM; do
        rm -rf interrupted pid
        # In the background SIGINT would be ignored: the killer is there instead.
        (
            until [ -s pid ]; do :; done
            sleep $delay
            kill -s $signal "$(cat pid)" 2>/dev/null
        ) &
        sh -c 'echo $$ >pid; exec "$1" convert origin -o interrupted' sh "$binary" >"$temp/out" 2>"$temp/err" </dev/null
        status=$?
        wait
        case $status in
        0 | 130 | 143) ;;
        *) problem "exit $status after $delay s: $(cat "$temp/err")" ;;
        esac
        tries=$((tries + 1))
        [ -e interrupted ] || continue
        left=$(find interrupted -name '.gpux*' -o -name '*.tmp*')
        [ -z "$left" ] || problem "SIG$signal after $delay s left $left"
        for file in model.onnx gpux.yml metadata.json model.safetensors; do
            file_exists "interrupted/$file"
        done
    done
done
[ $tries -eq 24 ] || problem "$tries tries"; end

begin 'converting gives the same bytes every time'
mkdir once twice
cp -r "$models/bert-classify" once/model
cp -r "$models/bert-classify" twice/model
gpux convert once/model; code 0
gpux convert twice/model; code 0
gpux convert twice/model; code 0
cmp -s once/model/model.onnx twice/model/model.onnx || problem 'model.onnx differs'
# The date of the conversion is the one line that may differ.
grep -v conversion_date once/model/gpux.yml > once.yml
grep -v conversion_date twice/model/gpux.yml > twice.yml
cmp -s once.yml twice.yml || problem 'gpux.yml differs'; end

begin 'a missing folder exits 1'
gpux convert nowhere; code 1; out_is_empty; err_has 'Error: '; err_has 'nowhere'; end

begin 'a folder without a checkpoint is a conversion error'
mkdir empty
gpux convert empty; code 5; out_is_empty; err_has 'Error: Conversion failed: '; end

begin 'a cut weight file is a conversion error and leaves nothing behind'
cp -r "$models/bert-classify" cut
head -c 500 "$models/bert-classify/model.safetensors" >cut/model.safetensors
gpux convert cut; code 5; err_has 'Error: Conversion failed: '
file_is_absent cut/model.onnx; file_is_absent cut/gpux.yml; file_is_absent cut/metadata.json; end

begin 'an unknown architecture is named'
mkdir alien
cp "$models/bert-classify/model.safetensors" alien
echo '{"model_type": "alien", "architectures": ["AlienForWorldDomination"]}' >alien/config.json
gpux convert alien; code 5; err_has 'AlienForWorldDomination'; file_is_absent alien/model.onnx; end

begin 'a config.json that is not JSON is a conversion error'
cp -r "$models/bert-classify" garbage
echo '{"model_type": ' >garbage/config.json
gpux convert garbage; code 5; err_has 'config.json'; end

summary
