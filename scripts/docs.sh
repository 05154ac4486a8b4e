#!/bin/sh
# Build the documentation into build/site; a warning is an error.
set -eu
cd "$(dirname "$0")/.."
sh scripts/tools.sh docs
NO_MKDOCS_2_WARNING=1 build/tools-docs/bin/mkdocs build --strict --quiet
echo "Open build/site/index.html."
