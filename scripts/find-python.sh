#!/bin/sh
# Print the Python to build a virtual environment with: $PYTHON if set, else the first of the usual names that is
# new enough and has the venv module. If there is none, say in one line what to install.
try() { # its word on itself: "ok", "novenv 3.12", "old 3.9", or nothing where it does not run (a pyenv shim, say)
    "$@" -c '
import sys
version = "%d.%d" % sys.version_info[:2]
if sys.version_info < (3, 11):
    print("old " + version)
else:
    try:
        import ensurepip, venv
        print("ok")
    except ImportError:
        print("novenv " + version)
' 2>/dev/null </dev/null
}

old='' novenv=''
for python in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python py}; do
    case "$(try "$python")" in
    ok) echo "$python"; exit 0 ;;
    novenv*) novenv=${novenv:-$(try "$python" | cut -d' ' -f2)} ;;
    old*) old=${old:-$(try "$python" | cut -d' ' -f2)} ;;
    esac
done
if [ -n "$novenv" ]; then
    echo "skk: Python $novenv has no venv module; install the package python$novenv-venv (Debian, Ubuntu: apt install python$novenv-venv)" >&2
elif [ -n "$old" ]; then
    echo "skk: Python 3.11 or newer is needed, found only $old; install a newer one or name it: make PYTHON=/path/to/python" >&2
else
    echo "skk: no Python found; install Python 3.11 or newer, or name it: make PYTHON=/path/to/python" >&2
fi
exit 1
