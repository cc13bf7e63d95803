#!/bin/sh
# Installs every peer from PyPI into one virtual environment and prints its python. usage: install.sh [VENV]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/gpux-peers/venv}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet -r "$here/requirements.txt"
echo "$venv/bin/python"
