#!/bin/sh
# Run a command on the display, or on a virtual screen if there is none.
set -eu
if [ "$(uname -s)" != Linux ] || [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
    exec "$@"
fi
exec xvfb-run -a -s "-screen 0 1400x900x24" "$@"
