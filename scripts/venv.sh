#!/bin/sh
# Makes .venv, or $VENV: this package (editable) and the dependency group "dev".
# Usage: scripts/venv.sh [PYTHON]   PYTHON: the interpreter to use; without it the best one on PATH.
set -eu
venv=${VENV:-.venv}
cd "$(dirname "$0")/.."

# satisfies INTERPRETER CONDITION: whether it runs, can make virtual environments and has a version v that fits.
satisfies() {
    "$1" -c "import sys, venv, ensurepip; v = sys.version_info; sys.exit(not ($2))" 2>/dev/null
}

# Versions that SecantusDB has wheels for come first.
choose() {
    for condition in "(3, 11) <= v < (3, 14)" "v >= (3, 11)"; do
        for name in ${1:-python3 python3.13 python3.12 python3.11 python3.14 python}; do
            if satisfies "$name" "$condition"; then
                echo "$name"
                return
            fi
        done
    done
    return 1
}

explain() {
    name=${1:-python3}
    if ! "$name" -c "" 2>/dev/null; then
        echo "'$name' does not run: install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3"
    elif ! "$name" -c "import sys; sys.exit(sys.version_info < (3, 11))"; then
        echo "'$name' is $("$name" --version 2>&1): Python 3.11 or newer is needed, name one: make PYTHON=/path/to/python3"
    else
        echo "'$name' lacks the modules venv and ensurepip, which Debian and Ubuntu package apart:"
        echo "run 'apt-get install python3-venv' as root, or name another Python: make PYTHON=/path/to/python3"
    fi
}

if ! python=$(choose "${1:-}"); then
    explain "${1:-}" >&2
    exit 2
fi
echo "Setting up $venv with $("$python" --version), about a minute…"
if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    "$python" -m venv --clear "$venv"
fi
export PIP_DISABLE_PIP_VERSION_CHECK=1
"$venv/bin/python" -m pip install --quiet --upgrade 'pip>=25.1' # the first that knows --group
"$venv/bin/python" -m pip install --quiet --group dev --editable .
