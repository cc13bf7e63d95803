#!/bin/sh
# Prepared weights: kept in .gpux/ by the first start, mapped by the next, removed by prune and rm.
. "$(dirname "$0")/lib.sh"
. "$here/hub.sh"

ids='{"input_ids": [[2, 5, 3]], "attention_mask": [[1, 1, 1]]}'
mapped='Prepared weights: mapped '
wrote='Prepared weights: wrote '

# A checkpoint of 25 MB in folder $1: two layers of DistilBERT with made-up weights.
big_model() {
    mkdir "$1"
    cat >"$1/config.json" <<'END'
{"architectures": ["DistilBertModel"], "model_type": "distilbert", "dim": 512, "hidden_dim": 2048,
 "n_heads": 8, "n_layers": 2, "vocab_size": 16, "max_position_embeddings": 16, "pad_token_id": 0,
 "activation": "gelu", "sinusoidal_pos_embds": false}
END
    python3 - "$1/model.safetensors" <<'END'
import json, struct, sys
shapes = {"embeddings.word_embeddings.weight": [16, 512],
          "embeddings.position_embeddings.weight": [16, 512]}
matrices = {"attention.q_lin": (512, 512), "attention.k_lin": (512, 512),
            "attention.v_lin": (512, 512), "attention.out_lin": (512, 512),
            "ffn.lin1": (2048, 512), "ffn.lin2": (512, 2048)}
norms = ["embeddings.LayerNorm"]
for layer in ("transformer.layer.0.", "transformer.layer.1."):
    for name, shape in matrices.items():
        shapes[layer + name + ".weight"] = list(shape)
        shapes[layer + name + ".bias"] = [shape[0]]
    norms += [layer + "sa_layer_norm", layer + "output_layer_norm"]
for name in norms:
    shapes[name + ".weight"] = shapes[name + ".bias"] = [512]
header, data = {}, bytearray()
for name, shape in shapes.items():
    count = shape[0] * (shape[1] if len(shape) > 1 else 1)
    begin = len(data)
    data += b"".join(struct.pack("<f", (i * 37 + begin) % 101 / 1000) for i in range(101)) * (count // 101 + 1)
    del data[begin + 4 * count:]
    header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, len(data)]}
text = json.dumps(header).encode()
with open(sys.argv[1], "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text + data)
END
    "$binary" convert "$1" >"$temp/convert.log" 2>&1 || echo "# cannot convert: $(cat "$temp/convert.log")"
}

begin 'the first start keeps prepared weights, the second maps them'
big_model big
gpux inspect ./big --json; code 0; cp "$temp/out" "$temp/inspected"
GPUX_PREPARED=never gpux run ./big -i "$ids" --json; code 0; cp "$temp/out" "$temp/expected"
file_is_absent big/.gpux
gpux run ./big -i "$ids" --json -v; code 0; err_has "$wrote"; out_is "$(cat "$temp/expected")"
ls big/.gpux/cpu-*-fp32.pack >/dev/null 2>&1 || problem 'no file was kept'
gpux run ./big -i "$ids" --json -v; code 0; err_has "$mapped"; out_is "$(cat "$temp/expected")"
gpux run ./big -i "$ids" --json; code 0; err_is_empty
GPUX_PREPARED=never gpux run ./big -i "$ids" --json -v; code 0; out_is "$(cat "$temp/expected")"
if grep -q 'Prepared weights' "$temp/err"; then problem 'never still looks'; fi; end

begin 'inspect sees no difference'
gpux inspect ./big --json; code 0; out_is "$(cat "$temp/inspected")"; end

begin 'each precision has a file of its own'
gpux run ./big --precision int8 -i "$ids" --json -v; code 0; err_has "$wrote"; cp "$temp/out" "$temp/int8"
gpux run ./big --precision int8 -i "$ids" --json -v; code 0; err_has "$mapped"; out_is "$(cat "$temp/int8")"
gpux run ./big -i "$ids" --json -v; err_has "$mapped"; end

begin 'weights that were touched are packed again'
touch big/model.safetensors
gpux run ./big -i "$ids" --json -v; code 0; err_has "$wrote"; out_is "$(cat "$temp/expected")"
gpux run ./big -i "$ids" --json -v; err_has "$mapped"; end

begin 'a folder that takes nothing only costs the gain'
rm -rf big/.gpux; echo x >big/.gpux
gpux run ./big -i "$ids" --json -v; code 0; err_has 'Prepared weights are not kept: '; out_is "$(cat "$temp/expected")"
rm big/.gpux
if [ "$(id -u)" -ne 0 ]; then
    chmod a-w big
    gpux run ./big -i "$ids" --json -v; code 0; err_has 'Prepared weights are not kept: '
    chmod u+w big
fi; end

begin 'a limit on file sizes only costs the gain'
(ulimit -f 1024; "$binary" run ./big -i "$ids" --json >"$temp/out" 2>"$temp/err"); status=$?; last_command=limited
code 0; out_is "$(cat "$temp/expected")"; file_is_absent big/.gpux; end

begin 'a process that goes on running gives the same answers'
if [ -w /dev/shm ]; then
    shm=$(mktemp -d /dev/shm/gpux-XXXXXX)
    cp big/model.onnx big/model.safetensors big/gpux.yml "$shm"
    for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo "$ids"; done >requests.jsonl
    GPUX_PREPARED=never gpux run ./big -f requests.jsonl; code 0; cp "$temp/out" "$temp/lines"
    gpux run "$shm" -f requests.jsonl -v; code 0; err_has "$wrote"; out_is "$(cat "$temp/lines")"
    gpux run "$shm" -f requests.jsonl -v; code 0; err_has "$mapped"; out_is "$(cat "$temp/lines")"
    rm -rf "$shm"
fi; end

begin 'a bare model file leaves nothing beside it'
mkdir bare; cp big/model.onnx big/model.safetensors bare
gpux run ./bare/model.onnx -i "$ids" --json -v; code 0; file_is_absent bare/.gpux
GPUX_PREPARED=always gpux run ./bare/model.onnx -i "$ids" --json -v; code 0; err_has "$wrote"; end

begin 'starts at the same time do not disturb each other'
starts=
for i in 1 2 3 4 5; do "$binary" run ./big -i "$ids" --json >"$temp/out.$i" 2>&1 & starts="$starts $!"; done
wait $starts
for i in 1 2 3 4 5; do cmp -s "$temp/out.$i" "$temp/expected" || problem "start $i: $(head -c 300 "$temp/out.$i")"; done
gpux run ./big -i "$ids" --json -v; err_has "$mapped"
[ "$(ls big/.gpux | wc -l)" -eq 1 ] || problem "left: $(ls big/.gpux)"; end

begin 'a small model, or an unknown choice'
converted bert-classify small || problem 'cannot convert'
gpux run ./small -i "$ids" --json; code 0; file_is_absent small/.gpux
GPUX_PREPARED=perhaps gpux run ./small -i "$ids"; code 1; err_has "Unknown choice 'perhaps' of GPUX_PREPARED"; end

begin 'prune removes what was kept for cached models'
export GPUX_PREPARED=always
gpux pull org/bare
gpux list; listed=$(cat "$temp/out")
gpux run org/bare -i "$ids" --json -v; code 0; err_has "$wrote"
gpux list; out_is "$listed"
gpux run org/bare -i "$ids" --json -v; code 0; err_has "$mapped"
gpux prune -v; code 0; out_matches '^Freed [0-9.]+ KB$'; err_matches 'huggingface/org--bare/main/cpu-[a-z0-9]+-fp32.pack'
file_is_absent "$cache/huggingface/org--bare/main/.gpux"
gpux prune --json; code 0; out_has '"freed_bytes": 0'
gpux run org/bare -i "$ids" --json -v; code 0; err_has "$wrote"; end

begin 'rm removes it with the model'
gpux rm org/bare; code 0; file_is_absent "$cache/huggingface/org--bare"
gpux list; out_is 'No models cached'; end

summary
