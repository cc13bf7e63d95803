#!/bin/sh
# The compiled tokenizer in a model's .gpux/: mapped by the second run, never wrong.
. "$(dirname "$0")/lib.sh"
converted bert-classify texts || exit 1
add_tokenizer texts
kept=texts/.gpux/tokenizer.bin

# Runs, and says on standard output whether the tokenizer was mapped.
was_mapped() {
    GPUX_LOG_LEVEL=DEBUG "$binary" run ./texts 'a good film' 2>log.txt >answer.json || return 2
    grep -q 'tokens, mapped' log.txt
}

begin 'the second run maps what the first one left'
gpux run ./texts 'a good film'; code 0; err_is_empty; cp "$temp/out" first.json
[ -f $kept ] || problem 'nothing was kept'
was_mapped || problem 'not mapped'
cmp -s first.json answer.json || problem 'another answer'
end

begin 'a changed tokenizer.json is noticed'
sed 's/"good": 5, "bad": 6/"good": 6, "bad": 5/' texts/tokenizer.json >changed.json
cp changed.json texts/tokenizer.json
was_mapped && problem 'mapped the old one'
cmp -s first.json answer.json && problem 'the old answer'
cp answer.json second.json
was_mapped || problem 'the new one is not mapped'
cmp -s second.json answer.json || problem 'another answer'
end

begin 'a damaged or cut file is made again'
for size in 0 10 4096 5000 60000; do
    head -c $size $kept >cut.bin
    cp cut.bin $kept
    was_mapped && problem "mapped $size bytes"
    cmp -s second.json answer.json || problem "another answer at $size bytes"
    was_mapped || problem "not made again at $size bytes"
done
printf 'x' | dd of=$kept bs=1 seek=60000 conv=notrunc 2>dd.txt
was_mapped && problem 'mapped a damaged file'
cmp -s second.json answer.json || problem 'another answer'
end

begin 'a folder that takes no files costs only time'
rm -r texts/.gpux
: >texts/.gpux
was_mapped && problem 'mapped'
cmp -s second.json answer.json || problem 'another answer'
gpux run ./texts 'a good film'; code 0; err_is_empty
rm texts/.gpux
end

begin 'GPUX_PREPARED=never neither reads nor writes it'
was_mapped && problem 'there was none to map'
export GPUX_PREPARED=never
was_mapped && problem 'mapped'
rm -r texts/.gpux
was_mapped && problem 'mapped'
unset GPUX_PREPARED
[ ! -e texts/.gpux/tokenizer.bin ] || problem 'written'
end

begin 'nothing is left beside a bare .onnx file'
mkdir bare
cp texts/*.onnx texts/*.safetensors texts/config.json texts/tokenizer.json bare/
gpux run ./bare/model.onnx 'a good film'; code 0
[ ! -e bare/.gpux ] || problem 'bare/.gpux'
end

summary
