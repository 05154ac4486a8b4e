#!/bin/sh
# Check for the system libraries that Qt, OpenGL and a virtual screen need. What is missing is
# installed when this runs as root on Debian or Ubuntu, and otherwise named.
set -eu
cd "$(dirname "$0")/.."
[ "$(uname -s)" = Linux ] || exit 0

# shared library or command, and the Debian package that brings it
libraries="
libEGL.so.1             libegl1
libGL.so.1              libgl1
libOpenGL.so.0          libopengl0
libdbus-1.so.3          libdbus-1-3
libfontconfig.so.1      libfontconfig1
libglib-2.0.so.0        libglib2.0-0
libxcb-cursor.so.0      libxcb-cursor0
libxcb-icccm.so.4       libxcb-icccm4
libxcb-image.so.0       libxcb-image0
libxcb-keysyms.so.1     libxcb-keysyms1
libxcb-randr.so.0       libxcb-randr0
libxcb-render-util.so.0 libxcb-render-util0
libxcb-shape.so.0       libxcb-shape0
libxcb-xinerama.so.0    libxcb-xinerama0
libxkbcommon-x11.so.0   libxkbcommon-x11-0
"
commands="
xvfb-run xvfb
xauth    xauth
"

is_debian() {
    command -v apt-get >/dev/null && command -v dpkg-query >/dev/null
}

is_headless() {
    [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]
}

find_missing() {
    # As root's, a user's PATH may lack the folder of ldconfig.
    known=$(PATH="$PATH:/usr/sbin:/sbin" ldconfig -p 2>/dev/null || true)
    if [ -n "$known" ]; then
        echo "$libraries" | while read -r library package; do
            case "$known" in *"${library:- }"*) ;; *) echo "$package" ;; esac
        done
    fi
    if is_headless; then
        echo "$commands" | while read -r command package; do
            [ -z "$command" ] || command -v "$command" >/dev/null || echo "$package"
        done
        # The software OpenGL drivers are no library that anything links to.
        if is_debian && ! dpkg-query -W libgl1-mesa-dri >/dev/null 2>&1; then
            echo libgl1-mesa-dri
        fi
    fi
    if is_debian && [ ! -x .venv/bin/python ] && command -v python3 >/dev/null &&
        ! python3 -c 'import ensurepip' 2>/dev/null; then
        echo python3-venv
    fi
}

missing=$(find_missing | tr '\n' ' ' | sed 's/ *$//')
[ -n "$missing" ] || exit 0

if is_debian && [ "$(id -u)" = 0 ]; then
    echo "Installing system libraries: $missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq </dev/null
    # shellcheck disable=SC2086  # one word each
    apt-get install -y -qq --no-install-recommends $missing </dev/null >/dev/null
    exit 0
fi

echo "These system libraries are missing (by the names of their Debian packages):" >&2
echo "    $missing" >&2
if is_debian; then
    echo "Install them with:" >&2
    echo "    sudo apt-get update && sudo apt-get install $missing" >&2
    exit 1
fi
echo "Install what your system calls them." >&2
if is_headless && ! command -v xvfb-run >/dev/null; then
    echo "Without a display nothing can run before xvfb-run is there." >&2
    exit 1
fi
echo "Going on; if napari does not start, this is why." >&2
