#!/bin/sh
# gpux pull and batch pull, and run --pull, against a small hub on this machine.
. "$(dirname "$0")/lib.sh"
. "$here/hub.sh"

begin 'pull downloads, converts and says so'
gpux pull org/classify; code 0; is_plain
for text in 'Pull Complete' "✓ Successfully pulled model 'org/classify'" 'Registry:     huggingface' 'Format:       onnx' 'Task:         text-classification' 'Files:        4 files downloaded' "Configuration saved to: $cache/huggingface/org--classify/main/gpux.yml" 'Next steps:' '  gpux run org/classify' '  gpux inspect org/classify'; do out_has "$text"; done
for text in 'Pull Information' 'Model ID         org/classify' 'Cache Directory  ~/.gpux/models' 'Downloading model files...' 'Downloaded config.json (' 'Converting to ONNX...' 'Generating configuration...'; do err_has "$text"; done
file_exists "$cache/huggingface/org--classify/main/model.onnx"; end

begin 'a pulled model runs by its id, its short name and its configured name'
gpux run org/classify 'good film'; code 0; out_has '"label": "BAD"'; err_is_empty
gpux run classify 'good film'; code 0; out_has '"label"'
gpux run org-classify 'good film'; code 0; out_has '"label"'
gpux inspect org/classify; code 0; out_has huggingface; end

begin 'a pull that is up to date fetches no file'
hub_requests >/dev/null
gpux pull org/classify; code 0; out_has '(already up to date)'; out_has 'none downloaded'; err_is_empty
requests=$(hub_requests)
[ "$requests" -eq 1 ] || problem "$requests requests"; end

begin 'an id has many spellings'
for id in hf:org/classify huggingface:org/classify hf://org/classify "$HF_ENDPOINT/org/classify" org/classify@main; do
    gpux pull "$id"; code 0; out_has "'org/classify' (already up to date)"
done
gpux pull org/classify -r hf --rev main; code 0; out_has '(already up to date)'
gpux pull hf:org/sentences@v1.0 -v; code 0; err_has 'Model ID         org/sentences'; err_has 'Revision         v1.0'; out_has '  gpux run org/sentences@v1.0'
gpux run org/sentences@v1.0 'a film'; code 0; out_has embedding; end

begin 'a model of sentence-transformers embeds'
gpux pull org/sentences; code 0; out_has 'Task:         sentence-similarity'
gpux run org/sentences 'a film' --revision main; code 0; out_has '"embeddings"'; end

begin 'pull --json prints the report alone'
gpux pull org/bare --json; code 0; is_plain
for key in model_id registry revision commit path format task files size_bytes downloaded_bytes cached pull_time_s convert_time_s total_time_s; do out_has "\"$key\": "; done
out_has '"cached": false'
gpux pull org/bare --json; out_has '"cached": true'; out_has '"downloaded_bytes": 0'; end

begin 'pull --quiet prints the folder alone'
gpux pull org/classify --quiet --force; code 0; err_is_empty
out_is "$cache/huggingface/org--classify/main"; end

begin '--cache-dir is the root of another cache, and next steps name it'
gpux pull org/bare --cache-dir "$temp/other"; code 0
file_exists "$temp/other/huggingface/org--bare/main/gpux.yml"; out_has "gpux inspect org/bare --cache-dir '$temp/other'"
err_has "Cache Directory  $temp/other"
gpux inspect org/bare --cache-dir "$temp/other"; code 0; end

begin '--no-convert only downloads, and a later pull converts'
gpux pull org/bare --no-convert --cache-dir raw; code 0; out_has 'Format:       safetensors'; out_lacks 'Next steps'
file_is_absent raw/huggingface/org--bare/main/model.onnx
gpux run org/bare x --cache-dir raw; code 1; err_has "Model 'org/bare' is downloaded but not converted"
gpux list --cache-dir raw; out_has '(not converted)'
gpux pull org/bare --cache-dir raw; code 0; file_exists raw/huggingface/org--bare/main/model.onnx; end

begin '--opset, --task and --all-files act'
gpux pull org/bare --opset 20 --all-files --task text-classification --cache-dir opts; code 0
file_exists opts/huggingface/org--bare/main/expected.json
gpux inspect org/bare --cache-dir opts --json; out_matches '"opset_version": *20'
gpux pull org/bare --task no-such-task --cache-dir opts2; code 5; err_has 'no-such-task'; end

begin 'another opset or task converts the cached files anew, and nothing is downloaded'
hub_requests >/dev/null
gpux pull org/classify --opset 20; code 0; out_lacks '(already up to date)'; out_has 'none downloaded'
gpux inspect org/classify --json; out_matches '"opset(_version)?": ?20'
requests=$(hub_requests)
[ "$requests" -eq 1 ] || problem "$requests requests"
gpux pull org/classify --opset 20; code 0; out_has '(already up to date)'
gpux pull org/classify; code 0; out_has '(already up to date)'
gpux pull org/sentences --task feature-extraction; code 0; out_has 'Task:         feature-extraction'; out_has 'none downloaded'
gpux pull org/sentences --task sentence-similarity; code 0; out_has 'Task:         sentence-similarity'
gpux convert org/classify --opset 19 --json; code 0; out_matches '"opset": ?19'
out_has "$cache/huggingface/org--classify/main"
gpux pull org/classify --task text-classification --opset 18; code 0; out_has 'none downloaded'
gpux run org/classify 'good film'; code 0; out_has '"label": "BAD"'; end

begin '--provider opens the model afterwards'
gpux pull org/classify --provider cpu; code 0
gpux pull org/classify --provider abacus; code 1; err_has "provider 'abacus' cannot run it"
gpux pull org/classify --provider cpu --no-convert; code 2; end

begin 'a model that is not there exits 2, and so does a revision'
gpux pull org/nope; code 2; out_is_empty; err_has "Error: Model 'org/nope' not found in registry"; err_has 'Hint: '
gpux pull org/classify@nope; code 2; err_has "Error: Revision 'nope' not found for model 'org/classify'"
gpux pull org/private; code 2; err_has 'not found in registry'; end

begin 'what is no id or registry exits 1'
gpux pull ''; code 1; err_has "Error: Invalid model id ''"
gpux pull ../etc; code 1; err_has 'Error: Invalid model id'
gpux pull a--b/c; code 1
gpux pull zoo:org/name; code 1; err_has "Error: Unsupported registry 'zoo'. Supported registries: huggingface, hf"
gpux pull org/name -r zoo; code 1; err_has "Unsupported registry 'zoo'"
gpux pull org/classify@main --revision v1.0; code 2; end

begin 'gated, forbidden and bad tokens exit 4'
gpux pull org/gated; code 4; err_has "Error: Access to model 'org/gated' is gated"; err_has "$HF_ENDPOINT/org/gated"
gpux pull org/gated --token hf_poortoken; code 4; err_has gated
gpux pull org/classify --token hf_badtoken --force; code 4; err_has 'Error: Authentication failed'
err_has 'Hint: Set your authentication token using environment variables:'; err_has '  export HF_TOKEN=your_token_here'; end

begin 'a token opens a private model and is shown nowhere'
gpux pull org/private --no-convert -v --token hf_goodtoken; code 0
if grep -rq hf_goodtoken "$temp/out" "$temp/err" "$cache"; then problem 'the token is shown'; fi
HF_TOKEN=hf_goodtoken gpux pull org/gated --no-convert; code 0; end

begin 'the network down exits 3'
HF_ENDPOINT=https://no-such-host.invalid gpux pull org/other; code 3
err_has 'Error: Network error while pulling model'; err_has 'Hint: Check your internet connection and try again'; end

begin 'the network down and a copy cached is a warning'
HF_ENDPOINT=https://no-such-host.invalid gpux pull org/classify; code 0; err_has 'Warning: '; out_has 'already up to date'; end

begin 'offline sends nothing'
hub_requests >/dev/null
gpux pull org/classify --offline; code 0; out_has 'already up to date'
gpux pull org/other --offline; code 3; err_has "Error: Offline mode is enabled and model 'org/other' is not cached"
HF_HUB_OFFLINE=1 gpux pull org/other; code 3
[ "$(hub_requests)" -eq 0 ] || problem 'something was sent'; end

begin 'a wrong checksum is a registry error'
hub_say '{"cmd": "fault", "where": "cdn", "path": "org/bare", "do": "flip", "count": 9}'
gpux pull org/bare --force; code 1; err_has 'Error: Registry error: checksum mismatch for model.safetensors'
hub_say '{"cmd": "reset"}'
gpux run org/bare -i '{"input_ids": [[1, 2]]}'; code 0; end

begin 'a failed conversion keeps the files, and run says so'
gpux pull org/tiny; code 5; out_is_empty; err_has 'Error: Conversion failed: model.safetensors'; err_has 'files are kept'
gpux run org/tiny x; code 1; err_has "Error: Model 'org/tiny' is downloaded but not converted"
hub_requests >/dev/null
gpux pull org/tiny; code 5; err_has 'Already here: model.safetensors'
[ "$(hub_requests)" -eq 1 ] || problem 'files were fetched again'; end

begin 'a terminal gets bars, and a signal leaves what the next pull goes on from'
hub_say '{"cmd": "fault", "where": "cdn", "path": "org/big", "do": "slow", "after": 200000, "delay": 0.1}'
gpux_on_terminal 80 ETA '\003' pull org/big --no-convert; code 130
for text in 'model.safetensors' '5/6 files' '━' 'MB' '/s' 'Interrupted by user'; do out_has "$text"; done
hub_requests >/dev/null
gpux pull org/big --no-convert; code 0; out_has '1 file downloaded'
hub_say '{"cmd": "log"}'
case $answer in *'"range"'*) ;; *) problem 'the file was fetched from its start' ;; esac; end

begin 'a narrow terminal loses the bar, and NO_COLOR every escape code'
hub_say '{"cmd": "fault", "where": "cdn", "path": "org/big", "do": "slow", "after": 400000, "delay": 0.1, "count": 2}'
gpux_on_terminal 40 '' '' pull org/big --no-convert --force; code 0; out_has '5/6 files'; out_matches '[0-9]+ %'
out_matches 'model\.safeten'
NO_COLOR=1 gpux_on_terminal 80 '' '' pull org/big --no-convert --force; code 0; is_plain; out_has '5/6 files'; out_has '##'; end

begin 'SIGTERM exits 143'
hub_say '{"cmd": "fault", "where": "cdn", "path": "org/big", "do": "slow", "after": 100000, "delay": 0.1}'
"$binary" pull org/big --force --no-convert >"$temp/out" 2>"$temp/err" & pid=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do grep -q Downloaded "$temp/err" && break; sleep 0.3; done
kill -TERM $pid; wait $pid; status=$?; last_command='gpux pull & kill -TERM'
code 143; err_has 'Interrupted by user'
hub_say '{"cmd": "reset"}'; end

begin 'batch pull goes on after a failure and exits with its code'
printf '# models\norg/classify\n\norg/nope\n  hf:org/bare  \n' >models.txt
gpux batch pull models.txt; code 2; out_has '✓ org/classify (main, '; out_has 'already up to date'; out_has '✓ org/bare (main'; err_has "Model 'org/nope' not found"; err_has '2 pulled, 1 failed'
gpux batch pull models.txt --json; code 2
[ "$(wc -l <"$temp/out")" -eq 3 ] || problem 'not a line for each model'
out_has '{"model_id":"org/nope","error":"'
gpux batch pull nowhere.txt; code 1; err_has 'Cannot read the list of models'
gpux_with_stdin 'org/bare' batch pull - --quiet; code 0; out_is "$cache/huggingface/org--bare/main"; end

begin 'run pulls only when it is told to'
gpux run org/classify x --cache-dir auto; code 1; err_has "gpux pull org/classify"
gpux run org/classify x --cache-dir auto --pull never; code 1
gpux run org/classify x --cache-dir auto --pull missing --offline; code 1; err_has 'Offline mode is enabled'
gpux run org/classify x --cache-dir auto --pull missing; code 0; err_has 'Downloaded model.safetensors'; out_has '"label"'
hub_requests >/dev/null
gpux run org/classify x --cache-dir auto --pull missing; code 0
[ "$(hub_requests)" -eq 0 ] || problem 'a cached model was asked for'
gpux run classify x --cache-dir auto --pull always; code 0
[ "$(hub_requests)" -eq 1 ] || problem 'the hub was not asked'
gpux run org/nope x --pull missing; code 1; err_has 'not found in registry'
export GPUX_AUTO_PULL=1
gpux run org/classify x --cache-dir auto2; code 0; out_has '"label"'
gpux run ./nowhere x; code 1; err_has "Model './nowhere' not found"
unset GPUX_AUTO_PULL; end

summary
