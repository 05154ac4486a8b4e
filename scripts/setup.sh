#!/bin/sh
# Make .venv and install the package with an extra into it: "all", "test" (the default) or "dev",
# each of which holds those before it.
# Done again only when what it is made from has changed.
set -eu
cd "$(dirname "$0")/.."
extra=${1:-test}
venv=.venv

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    for python in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if is_new_enough "$python"; then
            echo "$python"
            return
        fi
    done
    echo "Python 3.11 or newer is needed, and none was found." >&2
    echo "Install it, or name it: make PYTHON=/path/to/python3.12 ..." >&2
    exit 1
}

# The virtual environment knows its own place: a folder that was moved needs a new one.
wanted="$(pwd) $(cat setup.cfg pyproject.toml constraints.txt | cksum)"
has_stamp() {
    [ "$(cat "$venv/installed-$1" 2>/dev/null)" = "$wanted" ]
}

case $extra in
    all) enough="all test dev" ;;
    test) enough="test dev" ;;
    *) enough=$extra ;;
esac
for stamp in $enough; do
    if has_stamp "$stamp" && is_new_enough "$venv/bin/python"; then
        exit 0
    fi
done

python=$(find_python)
# Installed over an environment with other contents, pip would leave behind what is needed no more.
if ! has_stamp all && ! has_stamp test && ! has_stamp dev; then
    echo "Making a virtual environment in $venv ..."
    # Clearing a link would empty the environment that it is to.
    [ ! -L "$venv" ] || rm "$venv"
    if ! "$python" -m venv --clear "$venv"; then
        echo "$python cannot make virtual environments: install its venv package." >&2
        exit 1
    fi
fi
echo "Installing into $venv (the first time takes some minutes) ..."
"$venv/bin/python" -m pip install --disable-pip-version-check --no-input \
    --constraint constraints.txt --editable ".[$extra]" </dev/null
echo "$wanted" > "$venv/installed-$extra"
