#!/bin/sh
# usage: [SKK_UV=uv] venv.sh FOLDER REQUIREMENTS
# Make (or complete) a virtual environment: the pinned distributions, then this project, editable.
# uv does it in a fraction of pip's time and is itself pinned; where it cannot be had, pip installs the same file.
# All it says goes to stderr, so that `make run` keeps stdout for the conversation.
set -eu
exec >&2
cd "$(dirname "$0")/.."
folder=$1 requirements=$2
quiet='--quiet --disable-pip-version-check --no-input'

bin=$folder/bin
if [ ! -x "$bin/python" ] && [ -x "$folder/Scripts/python.exe" ]; then bin=$folder/Scripts; fi
# a folder whose Python is gone (an upgraded system, an interrupted run) is made anew
if ! "$bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    { [ -z "${SKK_UV:-}" ] && ! "$bin/python" -c 'import pip' 2>/dev/null; }; then
    python=$(sh scripts/find-python.sh)
    echo "skk: making $folder with $($python --version) ..."
    $python -m venv --clear ${SKK_UV:+--without-pip} "$folder"
    if [ -d "$folder/Scripts" ]; then bin=$folder/Scripts; fi
fi

if [ -z "${SKK_UV:-}" ]; then
    if ! "$bin/python" -m uv --version >/dev/null 2>&1; then
        "$bin/python" -m pip install $quiet --require-hashes -r requirements/uv.txt ||
            echo "skk: uv cannot be had here; pip does the same, only slower"
    fi
    # uv does not read pip's configuration: a mirror or a company's own index that stands there counts for both
    index=${PIP_INDEX_URL:-$("$bin/python" -m pip config get global.index-url 2>/dev/null || true)}
    [ -z "$index" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"
fi
# certificates as the system has them, like pip: a company's proxy may have its own
export UV_SYSTEM_CERTS=1

install() {
    if [ -n "${SKK_UV:-}" ]; then # one that is there already: test-all hands in that of .venv
        "$SKK_UV" pip install --quiet --python "$bin/python" "$@"
    elif "$bin/python" -m uv --version >/dev/null 2>&1 &&
        "$bin/python" -m uv pip install --quiet --python "$bin/python" "$@"; then
        :
    else
        "$bin/python" -m pip install $quiet "$@"
    fi
}
echo "skk: installing $requirements into $folder ..."
install --require-hashes -r "$requirements"
# no network: hatchling is among the pinned, and nothing else is looked at
install --no-deps --no-build-isolation --editable .
