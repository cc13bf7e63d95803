#!/bin/sh
# gpux list, rm, prune, search, info and registries.
. "$(dirname "$0")/lib.sh"
. "$here/hub.sh"

begin 'an empty cache has no models'
gpux list; code 0; out_is 'No models cached'
gpux ls --json; code 0; out_is '[]'
gpux list -q; code 0; out_is_empty
gpux rm --all; code 0; out_is 'No models cached'
gpux prune; code 0; out_is 'Freed 0 B'; end

gpux pull org/classify
gpux pull org/sentences
gpux pull org/sentences@v1.0

begin 'list shows each model and revision'
gpux list; code 0; is_plain
out_matches '^NAME +REVISION +TASK +FORMAT +SIZE +PULLED$'
out_matches '^org/classify +main +text-classification +onnx +[0-9.]+ KB +just now$'
out_matches '^org/sentences +v1.0 +sentence-similarity'
gpux ls --json; out_has '"model_id": "org/classify"'; out_has '"revision": "v1.0"'
gpux list -q; out_is 'org/classify
org/sentences'
gpux list -r hf -q; out_has org/classify
gpux list --registry zoo; code 1; err_has "Unsupported registry 'zoo'"; end

begin 'rm removes one revision, then the others'
gpux rm org/sentences --revision v1.0; code 0; out_matches '^Removed: org/sentences \(v1\.0, [0-9.]+ KB\)$'
gpux list; out_matches '^org/sentences +main'; out_lacks v1.0
gpux remove hf:org/sentences; code 0; out_has 'Removed: org/sentences (main, '
gpux rm org/sentences; code 2; out_is_empty; err_has "Error: Model 'org/sentences' is not cached"; end

begin 'rm goes on after a failure, and takes short names'
gpux pull org/bare
gpux rm org/nope classify org/bare; code 2; out_has 'Removed: org/classify'; out_has 'Removed: org/bare'
gpux list; out_is 'No models cached'; end

begin 'rm never touches a folder that is not in the cache'
converted bert-classify mine || problem 'cannot convert'
gpux rm ./mine; [ "$status" -ne 0 ] || problem 'it was removed'
file_exists mine/model.onnx
gpux rm mine; code 2; file_exists mine/model.onnx; end

begin 'rm without a name, or with too much, is a usage error'
gpux rm; code 2; err_has 'MODEL'
gpux rm --all org/x; code 2
gpux rm --all --revision main; code 2; end

begin 'rm asks on a terminal'
gpux pull org/bare
gpux_on_terminal 80 'y/N' n rm org/bare; code 1; out_has "Remove 'org/bare' from the cache? [y/N]"
gpux list -q; out_is org/bare
gpux_on_terminal 80 'y/N' y rm --all; code 0; out_has 'Removed: org/bare (main, '
gpux pull org/bare
gpux_on_terminal 80 '' '' rm org/bare --force; code 0; out_lacks 'y/N'; end

begin 'prune keeps a fresh interrupted pull and takes an old one'
gpux pull org/tiny
gpux prune; code 0; out_is 'Freed 0 B'
find "$cache/.staging" -exec touch -d '9 days ago' {} +
gpux prune -v; code 0; out_matches '^Freed [0-9.]+ KB$'; err_has 'huggingface--org--tiny--main'
gpux prune --json; code 0; out_has '"freed_bytes": 0'; end

begin 'search prints a table'
gpux search org; code 0; is_plain
out_matches '^MODEL +TASK +DOWNLOADS +LIKES +UPDATED +SUPPORTED$'
out_matches '^org/tiny +sentence-similarity +12\.3K +6 +.* ago +✅ Yes$'
gpux search org --limit 2 --sort downloads; out_has '1.2M'; out_lacks org/odd
gpux search tiny --task sentence-similarity --json; code 0; out_has '"model_id": "org/tiny"'; out_has '"downloads": 12345'
gpux search tiny --task fill-mask; code 0; out_is 'No models found'
gpux search tiny -r zoo; code 1
gpux search tiny --sort colour; code 2
HF_ENDPOINT=https://no-such-host.invalid gpux search tiny; code 3
HF_HUB_OFFLINE=1 gpux search tiny; code 3; end

begin 'info shows a model without downloading it'
gpux info org/tiny; code 0; is_plain
out_matches '^Task +sentence-similarity$'; out_matches '^License +mit$'; out_matches '^Supported +✅ Yes$'; out_matches '^Cached +❌ No$'
out_matches '^Files +6 of 9 are pulled$'; out_matches '^model.safetensors +293.0 KB$'
gpux info org/tiny@v1.0 --json; code 0; out_has '"revision": "v1.0"'; out_has '"files": ['
gpux info org/gated; out_matches '^Gated +✅ Yes$'
gpux list; out_is 'No models cached'
gpux info org/nope; code 2; err_has 'not found in registry'
gpux info org/tiny --rev nope; code 2; err_has "Revision 'nope' not found"
gpux info org/tiny --token hf_badtoken; code 4; err_has 'Authentication failed'; end

begin 'registries lists those that work and those that are planned'
gpux registries; code 0; out_matches "^huggingface +hf +$HF_ENDPOINT +available$"; out_matches '^mlflow .* planned$'
gpux registries --json; out_has '"status": "planned"'; end

summary
