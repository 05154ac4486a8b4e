#!/bin/sh
# Build the source distribution and, from it, the wheel into dist/, and check what the package index
# and the napari hub read of them.
set -eu
cd "$(dirname "$0")/.."
tools=build/tools-dist
sh scripts/tools.sh dist

rm -rf dist
if ! "$tools/bin/python" -m build --outdir dist >build/dist.log 2>&1; then
    cat build/dist.log >&2
    exit 1
fi
if grep -n "Warning: \|^!!$" build/dist.log >&2; then
    echo "The build has warnings: see build/dist.log." >&2
    exit 1
fi
"$tools/bin/npe2" validate napari_sam/napari.yaml
"$tools/bin/twine" check --strict dist/*
"$tools/bin/check-wheel-contents" dist/*.whl
ls -l dist
