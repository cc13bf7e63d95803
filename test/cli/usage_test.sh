#!/bin/sh
# gpux without a model: help, version, and every way to type it wrong.
. "$(dirname "$0")/lib.sh"

begin 'gpux alone prints its usage on stderr and exits 2'
gpux; code 2; out_is_empty; err_has 'Usage: gpux'; err_has 'convert'; is_plain; end

begin 'gpux --help says what gpux is, on stdout'
gpux --help; code 0; err_is_empty; out_has 'Docker-like GPU runtime'; out_has 'run'; out_has 'inspect'; is_plain; end

begin 'every command has help with its summary'
gpux run --help; code 0; out_has 'Run inference on a model'; out_has '--benchmark'
gpux inspect -h; code 0; out_has 'Inspect models and runtime information'; out_has '--model'
gpux convert --help; code 0; out_has '--opset'
gpux version --help; code 0
gpux help run; code 0; out_has 'Run inference on a model'; end

begin 'help wins over what is missing or wrong after it'
gpux run --help --bogus; code 0; end

begin 'the version is printed in three ways'
gpux --version; code 0; out_matches '^GPUX version [0-9]+\.[0-9]+\.[0-9]+$'
gpux -V; code 0; out_matches '^GPUX version '
gpux version; code 0; out_matches '^GPUX version '; end

begin 'version --json names the build and the engines'
gpux version --json; code 0; out_has '"version"'; out_has '"compiler"'; out_has 'CPUExecutionProvider'; end

begin 'an unknown option is named with the closest known one'
gpux run m --benchmrk; code 2; out_is_empty; err_has 'Error: No such option: --benchmrk'; err_has '--benchmark?'
gpux --xyz; code 2; err_has 'Error: No such option: --xyz'; end

begin 'a misspelt command is guessed'
gpux rnu; code 2; err_has 'Error: No such command: rnu'; err_has 'gpux run'; end

begin 'a missing argument, an extra one and a missing value are usage errors'
gpux run; code 2; err_has "Missing argument 'MODEL_NAME'"
gpux run a b c; code 2; err_has "extra argument 'c'"
gpux run m --input; code 2; err_has "Option '--input' requires a value"; end

begin 'values out of range are usage errors'
gpux run m --benchmark --runs 0; code 2; err_has "Invalid value for '--runs'"
gpux run m --benchmark --warmup -1; code 2
gpux run m --format xml; code 2; err_has 'gpux, hf, raw'
gpux run m --threads 0; code 2
gpux run m --sweep color=1,2; code 2; err_has "Invalid value for '--sweep'"
gpux run m --sweep batch=1,,2; code 2
gpux convert m --opset 12; code 2; err_has 'from 17 to 23'; end

begin 'a bad environment variable is named'
export GPUX_THREADS=many
gpux run m hello; code 1; err_has 'GPUX_THREADS'
unset GPUX_THREADS
export GPUX_CPU_LEVEL=z80
gpux run m hello; code 1; err_has 'z80'
unset GPUX_CPU_LEVEL; end

begin 'an unknown log level is warned about and does no harm'
export GPUX_LOG_LEVEL=LOUD
gpux version; code 0; err_has 'Warning: GPUX_LOG_LEVEL'
unset GPUX_LOG_LEVEL; end

begin 'a result that cannot be written is a failure'
if [ -w /dev/full ]; then
    "$binary" version >/dev/full 2>"$temp/err"; status=$?; last_command='gpux version >/dev/full'
    code 1; err_has 'Cannot write to standard output'
fi; end

summary
