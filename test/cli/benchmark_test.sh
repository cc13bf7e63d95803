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

begin 'a sweep over precisions opens the model in each'
gpux run ./model --sweep precision=fp32,bf16,int8 --runs 5 --warmup 1 --seq-len 8 --json; code 0
for precision in fp32 bf16 int8; do out_matches "\"precision\": ?\"$precision\""; done
gpux run ./model --sweep provider=auto,cpu --runs 5 --warmup 1 --seq-len 8; code 0; out_matches '^cpu '
gpux run ./model --sweep provider=auto,nonsense --runs 5 --seq-len 8; code 1; err_has "Unknown provider 'nonsense'"
for wrong in precision=fp64 precision= precision=fp32, speed=1 batch=0 batch; do
    gpux run ./model --sweep $wrong; code 2; err_has "Invalid value for '--sweep'"
done; end

begin '--reference says how far the outputs differ'
# shellcheck disable=SC2086
gpux run ./model 'a good film' $quick --precision int8 --reference fp32 --json; code 0
for key in max_abs_diff mean_abs_diff cosine_mean cosine_min label_agreement; do out_matches "\"$key\": ?[0-9]"; done
out_matches '"reference": ?"fp32"'; out_matches '"accuracy_loss_percent": ?null'; out_lacks '"max_abs_diff": 0.0,'
# shellcheck disable=SC2086
gpux run ./model $quick --seq-len 8 --reference fp32; code 0
for row in 'Max Abs Diff +0$' 'Cosine Mean +1.000000' 'Label Agreement +100.00 %'; do out_matches "$row"; done
gpux run ./model --sweep precision=fp32,bf16 --runs 5 --seq-len 8 --reference fp32; code 0; out_has 'Label Agreement'; out_matches '^fp32 .* 1\.000000 +100\.00 %'; end

begin 'a run with --reference answers as ever and adds the difference'
gpux run ./model 'a good film'; cp "$temp/out" answer
gpux run ./model 'a good film' --reference bf16; code 0; out_is "$(cat answer)"; err_has 'Max Abs Diff'
gpux run ./model 'a good film' --reference bf16 --json; code 0; out_has '"result"'; out_has '"difference"'; out_has '"max_abs_diff"'
printf '{"inputs": "good"}\n{"inputs": "bad film"}\n' >two.jsonl
gpux run ./model -f two.jsonl --reference bf16 --json; code 0; out_has '"compared_requests": 2'
"$binary" run ./model -f two.jsonl >lines; [ "$(grep -c '^    {' "$temp/out")" -eq 2 ] || problem 'not an answer per line'
gpux run ./model 'a good film' --format raw --reference bf16; code 0; err_has 'Cosine Mean'; end

begin 'a dataset with labels gives the loss of accuracy'
printf '{"inputs": "a good film", "label": "green"}\n\n{"inputs": "bad", "label": 1}\n{"inputs": "film"}\n{"inputs": "good", "label": "red"}\n' >labels.jsonl
gpux run ./model --dataset labels.jsonl --reference fp32 --precision bf16; code 0; out_matches 'Compared +4 requests'; out_matches 'Accuracy Loss +-?[0-9.]+ %'
gpux run ./model --dataset labels.jsonl --reference fp32 --precision fp32 -o loss.json; code 0; out_has 'Results saved to: loss.json'
file_has loss.json '"labelled_requests": 3'; file_has loss.json '"accuracy_loss_percent": 0.0'; file_has loss.json '"max_abs_diff": 0.0'
# shellcheck disable=SC2086
gpux run ./model $quick --seq-len 8 --dataset labels.jsonl --reference fp32 --json; code 0; out_has '"compared_requests": 4'; end

begin 'what is wrong with a reference or a dataset is said'
gpux run ./model good --reference fp64; code 2; err_has "Invalid value for '--reference': 'fp64'"
gpux run ./model --dataset labels.jsonl; code 2; err_has '--dataset needs --reference'
gpux run ./model --dataset nowhere.jsonl --reference fp32; code 1; err_has 'Error loading dataset: '
: >empty.jsonl
gpux run ./model --dataset empty.jsonl --reference fp32; code 1; err_has "there is no request in 'empty.jsonl'"
printf '{"inputs": "good"}\n{"inputs": 5}\n' >bad.jsonl
gpux run ./model --dataset bad.jsonl --reference fp32; code 1; err_has 'Run failed: line 2: '
printf '{"inputs": "good", "label": 9}\n' >bad.jsonl
gpux run ./model --dataset bad.jsonl --reference fp32; code 1; err_has "line 1: 'label' is neither"
printf '{"inputs": "good"\n' >bad.jsonl
gpux run ./model --dataset bad.jsonl --reference fp32; code 1; err_has 'Error parsing input JSON: '; end

begin 'a request that is wrong fails before the first run'
# shellcheck disable=SC2086
gpux run ./model -i '{"parameters": {}}' $quick; code 1; out_is_empty; err_has "Run failed: Missing required input: 'inputs'"; end

begin '--profile adds the steps'
# shellcheck disable=SC2086
gpux run ./model good $quick --profile --json; code 0; out_has '"profile"'
# shellcheck disable=SC2086
gpux run ./model good $quick --profile; code 0; err_has 'Profile'; end

summary
