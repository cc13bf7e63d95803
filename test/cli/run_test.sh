#!/bin/sh
# gpux run: answers, where input comes from, where output goes.
. "$(dirname "$0")/lib.sh"
converted bert-classify model || exit 1
converted bert-classify texts || exit 1
add_tokenizer texts

# The numbers of member $2 of the JSON file $1, one per line.
numbers_of() {
    tr -d ' \n' <"$1" | sed 's/.*"'"$2"'":\(\[\[[^]]*\]\(,\[[^]]*\]\)*\]\).*/\1/' | tr -cs '0-9eE.+-' '\n' | sed '/^$/d'
}

begin 'raw tensors give the numbers of the original framework'
sed 's/,"outputs".*/}/' "$models/bert-classify/expected.json" >request.json
gpux run ./model -f request.json; code 0; err_is_empty
numbers_of "$models/bert-classify/expected.json" logits >expected.txt
numbers_of "$temp/out" logits >got.txt
[ -s expected.txt ] || problem 'no expected numbers'
[ "$(wc -l <expected.txt)" -eq "$(wc -l <got.txt)" ] || problem "$(wc -l <got.txt) numbers, not $(wc -l <expected.txt)"
paste expected.txt got.txt | awk '{ d = $1 - $2; if (d < 0) d = -d; if (d > 1e-4 + 1e-4 * ($1 < 0 ? -$1 : $1)) bad = 1 } END { exit bad }' || problem "$(paste expected.txt got.txt)"
end

begin 'every instruction set gives the same answer to four digits'
for level in ref avx2 avx512; do
    export GPUX_CPU_LEVEL=$level
    gpux run ./model -f request.json; code 0
    numbers_of "$temp/out" logits >level.txt
    paste got.txt level.txt | awk '{ d = $1 - $2; if (d < 0) d = -d; if (d > 1e-4) bad = 1 } END { exit bad }' || problem "$level differs"
    unset GPUX_CPU_LEVEL
done; end

begin 'a text gives labels and scores'
gpux run ./texts 'a good film'; code 0; err_is_empty; is_plain
for key in logits predicted_class label score labels scores predictions; do out_has "\"$key\""; done
out_has '"green"'; end

begin 'text, prompt, JSON, file and stdin are the same request'
gpux run ./texts 'a good film'; code 0; cp "$temp/out" first.json
echo '{"inputs": "a good film"}' >request-text.json
gpux run ./texts --text 'a good film'; code 0; cmp -s first.json "$temp/out" || problem '--text differs'
gpux run ./texts -i '{"inputs": "a good film"}'; code 0; cmp -s first.json "$temp/out" || problem '-i differs'
gpux run ./texts '-i{"inputs": "a good film"}'; code 0; cmp -s first.json "$temp/out" || problem '-ivalue differs'
gpux run --input='"a good film"' ./texts; code 0; cmp -s first.json "$temp/out" || problem 'a JSON string differs'
gpux run ./texts -i @request-text.json; code 0; cmp -s first.json "$temp/out" || problem '@file differs'
gpux run ./texts -i request-text.json; code 0; cmp -s first.json "$temp/out" || problem 'an existing file differs'
gpux run ./texts --file request-text.json --json; code 0; cmp -s first.json "$temp/out" || problem '--file differs'
gpux_with_stdin '{"inputs": "a good film"}' run ./texts -i -; code 0; cmp -s first.json "$temp/out" || problem 'stdin differs'
end

begin 'the number of threads does not change the answer'
export GPUX_THREADS=1
gpux run ./texts 'a good film'; code 0; cmp -s first.json "$temp/out" || problem '1 thread differs'
unset GPUX_THREADS
gpux run ./texts 'a good film' --threads 3; code 0; cmp -s first.json "$temp/out" || problem '3 threads differ'; end

begin 'a batch answers in order, each as if sent alone'
gpux run ./texts -i '[{"inputs": "a good film"}, {"inputs": "bad bad bad films"}, {"inputs": "a good film"}]' ; code 0
tr -d ' \n' <"$temp/out" >batch.txt
tr -d ' \n' <first.json >one.txt
case $(cat batch.txt) in
"[$(cat one.txt),"*",$(cat one.txt)]") ;;
*) problem "batch: $(head -c 400 batch.txt)" ;;
esac
gpux run ./texts -i '[]'; code 0; out_is '[]'; end

begin 'a .jsonl file gives one line per request'
printf '{"inputs": "a good film"}\n\n{"inputs": "bad"}\n' >requests.jsonl
gpux run ./texts -f requests.jsonl; code 0
[ "$(wc -l <"$temp/out")" -eq 2 ] || problem "$(wc -l <"$temp/out") lines, not 2"
out_matches '^\{.*\}$'; end

begin 'the hub form and the raw form'
gpux run ./texts 'a good film' --format hf; code 0
case $(tr -d ' \n' <"$temp/out") in '[[{"label":'*) ;; *) problem "hf: $(cat "$temp/out")" ;; esac
gpux run ./texts 'a good film' --format raw; code 0; out_has '"logits"'; out_lacks '"predictions"'; end

begin 'a folder with nothing but a SentencePiece model answers as sentence-transformers'
cp -r "$models/../tasks/sentences-xlm-roberta" multilingual
sed -n '2s/.*"answer": \[\(.*\)\]}.*/\1/p' multilingual/cases.json | tr ',' '\n' >expected-vector.txt
rm multilingual/tokenizer_config.json multilingual/cases.json
gpux convert multilingual; code 0; err_is_empty
gpux run ./multilingual --text 'Où est la bibliothèque?'; code 0
[ "$(wc -l <expected-vector.txt)" -eq 16 ] || problem "$(wc -l <expected-vector.txt) expected numbers, not 16"
numbers_of "$temp/out" embeddings >got-vector.txt
paste expected-vector.txt got-vector.txt | awk '{ d = $1 - $2; if (d < 0) d = -d; if (d > 1e-4 || NF != 2) bad = 1 } END { exit bad || NR != 16 }' || problem "$(paste expected-vector.txt got-vector.txt)"
end

begin '--output writes the result and says where'
gpux run ./texts 'a good film' -o result.json; code 0; out_is 'Results saved to: result.json'
cmp -s first.json result.json || problem 'the file differs'; end

begin '--output and --json give both'
gpux run ./texts 'a good film' -o both.json --json; code 0; cmp -s both.json "$temp/out" || problem 'stdout differs'
err_has 'Results saved to: both.json'; end

begin 'a folder that does not exist is noticed before the model runs'
gpux run ./texts 'a good film' -o nowhere/result.json; code 1; out_is_empty; err_has 'No such file or directory'; err_has 'nowhere/result.json'; end

begin '--verbose says what was used'
gpux run ./texts 'a good film' --verbose; code 0; err_has 'CPUExecutionProvider'; cmp -s first.json "$temp/out" || problem 'stdout differs'
gpux --verbose run ./texts 'a good film'; code 0; err_has 'CPUExecutionProvider'
gpux run ./texts 'a good film' --verbose --no-verbose; code 0; err_is_empty; end

begin '--profile shows the steps on stderr'
gpux run ./texts 'a good film' --profile; code 0; err_has 'Profile'; err_has 'Kernel'; cmp -s first.json "$temp/out" || problem 'stdout differs'; end

begin 'unknown parameters are named in a warning'
gpux run ./texts -i '{"inputs": "a good film", "parameters": {"colour": 1}}'; code 0; err_has 'Warning: '; err_has 'colour'; end

begin 'every golden model answers'
for folder in "$models"/*/; do
    copy=all-$(basename "$folder")
    converted "$(basename "$folder")" "$copy" || problem "cannot convert $folder"
    sed 's/,"outputs".*/}/' "$folder/expected.json" >"$copy.json"
    gpux run "./$copy" -f "$copy.json"; code 0; out_matches '[0-9]'
done; end

summary
