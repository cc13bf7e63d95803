#!/bin/sh
# gpux run --benchmark: the table, the JSON, sweeps.
. "$(dirname "$0")/lib.sh"
converted bert-classify model || exit 1
add_tokenizer model
quick='--benchmark --runs 5 --warmup 1'

begin 'a benchmark needs no input and prints its table'
# shellcheck disable=SC2086
gpux run ./model $quick --seq-len 8; code 0; is_plain
err_has 'Running benchmark with 5 runs (warmup: 1)...'
out_has 'Benchmark Results'
for row in 'Mean Time' 'Std Time' 'Min Time' 'Max Time' 'Median Time' 'P90 Time' 'P95 Time' 'P99 Time' Throughput Tokens/s 'Load Time' 'First Inference' 'Peak Memory' 'Batch Size' 'Sequence Length' Precision Provider Device; do out_has "$row"; done
out_matches 'Mean Time +[0-9]+\.[0-9]+ ms'; out_matches 'Throughput +[0-9]+\.[0-9] fps'; out_matches 'Sequence Length +8'; end

begin 'the default length keeps to the limit of a short model'
# shellcheck disable=SC2086
gpux run ./model $quick --json; code 0; out_matches '"sequence_length": ?11'
# shellcheck disable=SC2086
gpux run ./model $quick --seq-len 12; code 1; err_has 'Run failed: '; end

begin 'a benchmark of a given text'
# shellcheck disable=SC2086
gpux run ./model 'a good film' $quick --json; code 0
for key in mean_time_ms std_time_ms min_time_ms max_time_ms median_time_ms p50_time_ms p90_time_ms p95_time_ms p99_time_ms throughput_fps mean_time min_time max_time std_dev cv load_time_ms first_inference_ms warmup_time_ms total_time_s model_time_ms preprocess_time_ms postprocess_time_ms tokens_per_second memory_peak_mb memory_model_mb batch_size sequence_length input_shapes precision provider engine device threads model task parameters gpux_version timestamp host; do out_has "\"$key\""; done
out_matches '"num_runs": ?5'; out_matches '"warmup_runs": ?1'; out_matches '"sequence_length": ?5'; out_matches '"batch_size": ?1'; end

begin '--output writes the figures and says where'
# shellcheck disable=SC2086
gpux run ./model 'a good film' $quick --output figures.json; code 0
out_has 'Benchmark results saved to: figures.json'; file_has figures.json '"mean_time_ms"'; end

begin 'the batch is synthetic rows or copies of the input'
# shellcheck disable=SC2086
gpux run ./model $quick --batch 4 --seq-len 8 --json; code 0; out_matches '"batch_size": ?4'
# shellcheck disable=SC2086
gpux run ./model good $quick --batch 3 --json; code 0; out_matches '"batch_size": ?3'
# shellcheck disable=SC2086
gpux run ./model -i '[{"inputs": "good"}, {"inputs": "bad"}]' $quick --json; code 0; out_matches '"batch_size": ?2'; end

begin 'mixed lengths are spread over the batch'
# shellcheck disable=SC2086
gpux run ./model $quick --batch 3 --seq-len 4-8 --json; code 0; out_matches '"sequence_length": ?6'; out_matches '"batch_size": ?3'
# shellcheck disable=SC2086
gpux run ./model $quick --seq-len 4-8 --json; code 0; out_matches '"sequence_length": ?8'; err_has 'no mixed lengths'
for wrong in 8-4 4- -4 a-b 0-4 4-5-6; do
    # shellcheck disable=SC2086
    gpux run ./model $quick --seq-len $wrong; code 2; err_has "Invalid value for '--seq-len'"
done; end

begin 'the figures say which model it was'
# shellcheck disable=SC2086
gpux run ./model $quick --seq-len 8 --json; code 0; out_matches '"cached": ?false'
out_matches '"size_bytes": ?[1-9][0-9]*'; out_matches '"model_id": ?null'
mkdir -p "$temp/home/.gpux/models/huggingface/org--tiny"
cp -r model "$temp/home/.gpux/models/huggingface/org--tiny/main"
sed 's/^{/{"registry": "huggingface", "model_id": "org\/tiny", "revision": "main", "commit": "0123456789abcdef0123456789abcdef01234567",/' model/metadata.json >"$temp/home/.gpux/models/huggingface/org--tiny/main/metadata.json"
# shellcheck disable=SC2086
gpux run org/tiny $quick --seq-len 8 --json; code 0; out_matches '"cached": ?true'
out_matches '"model_id": ?"org/tiny"'; out_matches '"revision": ?"main"'; out_matches '"commit": ?"0123456789abcdef'
# shellcheck disable=SC2086
gpux run ./model/model.onnx $quick --seq-len 8 --json; code 0; out_matches '"size_bytes": ?[1-9][0-9]*'; end

begin '--scope model measures the model alone'
# shellcheck disable=SC2086
gpux run ./model good $quick --scope model --json; code 0; out_matches '"scope": ?"model"'; end

begin '--threads is what runs'
# shellcheck disable=SC2086
gpux run ./model good $quick --threads 1 --json; code 0; out_matches '"threads": ?1'; end

begin 'a sweep has a row per value and marks the best'
gpux run ./model --sweep batch=1,2,4 --runs 5 --warmup 1 --seq-len 8; code 0; out_has 'Benchmark Sweep'; out_has best
gpux run ./model --sweep batch=1,2,4 --runs 5 --warmup 1 --seq-len 8 --json; code 0
out_has '"runs"'; out_matches '"best": ?[012]'; [ "$(grep -c '"mean_time_ms"' "$temp/out")" -eq 3 ] || problem 'not three runs'
gpux run ./model --sweep threads=1,2 --runs 5 --warmup 1 --seq-len 8 --json; code 0; out_matches '"threads": ?2'
gpux run ./model --sweep seq-len=4,8 --runs 5 --warmup 1 --json; code 0; out_matches '"sequence_length": ?4'
gpux run ./model good --sweep seq-len=4,8 --runs 5; code 2; end

begin 'a request that is wrong fails before the first run'
# shellcheck disable=SC2086
gpux run ./model -i '{"parameters": {}}' $quick; code 1; out_is_empty; err_has "Run failed: Missing required input: 'inputs'"; end

begin '--profile adds the steps'
# shellcheck disable=SC2086
gpux run ./model good $quick --profile --json; code 0; out_has '"profile"'
# shellcheck disable=SC2086
gpux run ./model good $quick --profile; code 0; err_has 'Profile'; end

summary
