#!/bin/sh
# Install the wheel in dist/ as a user would, in an environment of its own; print how much that takes,
# and how long it is from `napari-sam --sample coins` to the first mask.
set -eu
cd "$(dirname "$0")/.."
python=build/bare/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK=1

rm -rf build/bare build/download
"${PYTHON:-python3}" -m venv build/bare
size_kb() {
    du -sk "$1" | cut -f 1
}
empty=$(size_kb build/bare)
wheel=$(ls dist/*.whl)
$python -m pip download --quiet --dest build/download "$wheel[all]"
$python -m pip install --quiet --no-index --find-links build/download "$wheel[all]"
$python -m pip check
echo "download:     $(($(size_kb build/download) / 1024)) MiB, $(ls build/download | wc -l) packages"
echo "installation: $((($(size_kb build/bare) - empty) / 1024)) MiB"
build/bare/bin/napari-sam doctor
sh scripts/on_screen.sh $python benchmarks/cold_start.py --runs 1
