#!/bin/sh
# Make build/tools-EXTRA, an environment with what an extra of setup.cfg lists, and nothing else.
# Made again only when setup.cfg has changed.
set -eu
cd "$(dirname "$0")/.."
tools=build/tools-$1
wanted=$(cksum setup.cfg)
[ "$(cat "$tools/installed" 2>/dev/null)" != "$wanted" ] || exit 0

"${PYTHON:-python3}" -m venv --clear "$tools"
"$tools/bin/python" - "$1" <<'END' >"$tools/requirements.txt"
import sys
from configparser import ConfigParser

settings = ConfigParser()
settings.read("setup.cfg")
print(settings["options.extras_require"][sys.argv[1]])
END
"$tools/bin/python" -m pip install --quiet --disable-pip-version-check \
    --requirement "$tools/requirements.txt"
echo "$wanted" >"$tools/installed"
