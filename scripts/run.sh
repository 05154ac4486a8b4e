#!/bin/sh
# Open napari with a sample image and the widget; without a display run the demo instead.
set -eu
cd "$(dirname "$0")/.."
if [ "$(uname -s)" != Linux ] || [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
    exec .venv/bin/napari-sam --sample coins
fi
echo "There is no display: running the demo on a virtual screen."
exec sh scripts/on_screen.sh .venv/bin/python scripts/demo.py
