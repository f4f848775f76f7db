# Sourced by scripts/nndiag and scripts/test (bash 3.2 or newer, `set -euo pipefail`): makes or
# reuses .venv in the checkout. Speaks on stderr only, so that a command's own output can be piped.
# shellcheck shell=bash

root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=$root/.venv
python=$venv/bin/python
log=$venv/setup.log
lock=$root/.venv.lock

say() { printf 'nndiag set-up: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# ensure EXTRAS: .venv holds this checkout, editable, with these extras (comma-separated).
ensure() {
    is_ready "$1" && return
    take_lock
    is_ready "$1" || install "$1" # unless the set-up we waited for has done it
    rm -f "$lock"
    trap - EXIT INT
}

# What an installation was made from: the checkout's place and the package's metadata.
recipe() { printf '%s\n%s\n' "$root" "$(<"$root/pyproject.toml")"; }

# Each extra leaves a stamp with its recipe once pip has finished, and only then. The last test
# notices an interpreter that was upgraded or removed under .venv.
is_ready() {
    local extra wanted
    wanted=$(recipe)
    for extra in ${1//,/ }; do
        [ -f "$venv/set-up.$extra" ] || return 1
        [ "$(<"$venv/set-up.$extra")" = "$wanted" ] || return 1
    done
    "$python" -I -c 'import importlib.util as i, sys; sys.exit(not i.find_spec("nndiag"))' \
        >/dev/null 2>&1
}

install() {
    local extra
    make_venv
    say "installing nndiag[$1] into $venv"
    say "(the first time this downloads PyTorch: a few minutes, and up to 6 GB with CUDA)"
    { printf '\npip install --editable .[%s]\n' "$1" >>"$log"; } 2>/dev/null || die "$(no_space)"
    (cd -- "$root" && PIP_USER=0 "$python" -m pip install --disable-pip-version-check --no-input \
        --editable ".[$1]") </dev/null 2>&1 | follow || explain_pip
    for extra in ${1//,/ }; do
        { recipe >"$venv/set-up.$extra"; } 2>/dev/null || die "$(no_space)"
    done
    say "ready"
}

# Copies pip's words into the log, and those about large downloads to the screen.
follow() {
    local line large='Downloading ([^-]+-[^-]+)-.*\((.* [MG]B)\)'
    while IFS= read -r line; do
        { printf '%s\n' "$line" >>"$log"; } 2>/dev/null || true # a full disk is told at the end
        if [[ $line =~ $large ]]; then
            say "  ${BASH_REMATCH[1]} (${BASH_REMATCH[2]})"
        elif [[ $line == 'Installing collected packages'* ]]; then
            say "  unpacking"
        fi
    done
}

# A sound .venv is kept, whatever it lacks; anything else in its place is made anew.
make_venv() {
    local found
    if "$python" -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        return
    fi
    found=$(find_python) || exit 1
    say "creating $venv with $("$found" --version 2>&1) ($found)"
    if ! { rm -rf "$venv" && mkdir "$venv" && : >"$log"; } 2>/dev/null; then
        die "cannot write to $venv; check its owner and the free space."
    fi
    "$found" -m venv "$venv" >>"$log" 2>&1 || explain_venv "$found"
}

# Prints the first Python that is new enough; $PYTHON, if set, is the only candidate.
find_python() {
    local candidate version seen=''
    if [ -n "${PYTHON:-}" ]; then
        set -- "$PYTHON"
    else
        set -- python3.13 python3.12 python3.11 python3 python
    fi
    for candidate in "$@"; do
        # Version managers leave commands that only say that there is no such Python.
        version=$("$candidate" --version 2>&1) && [[ $version == 'Python '* ]] || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
        seen=${seen:-$candidate is $version}
    done
    if [ -n "$seen" ]; then
        die "Python 3.11 or newer is needed, but $seen; install a newer one, or name it: PYTHON=/path/to/python3.11."
    elif [ -n "${PYTHON:-}" ]; then
        die "PYTHON=$PYTHON is not a Python that runs; name one of version 3.11 or newer, or unset PYTHON."
    fi
    die "no Python was found; install Python 3.11 or newer, or name it: PYTHON=/path/to/python3.11."
}

no_space() {
    printf 'the disk is full; %s needs up to 6 GB, and %s 3 GB while downloading.' \
        "$venv" "${TMPDIR:-/tmp}"
}

is_full() {
    logged 'no space left|errno 28' || [ "$(df -Pk "$root" | awk 'NR == 2 { print $4 }')" -lt 51200 ]
}

logged() { grep -qiE -- "$1" "$log" 2>/dev/null; }

explain_venv() {
    if is_full; then
        die "$(no_space) Details: $log"
    elif logged "ensurepip|no module named '?venv"; then
        die "$1 lacks the module venv; install it (Debian, Ubuntu: apt install python3-venv) and try again. Details: $log"
    fi
    die "$1 could not create a virtual environment. Details: $log"
}

# Every registry has the build backend, which pip looks for first: none found means none reached.
unreachable='connection (broken|refused|error)|connecttimeout|readtimeout|name resolution|proxyerror'
unreachable="$unreachable|no matching distribution found for hatchling"

explain_pip() {
    if is_full; then
        die "$(no_space) Details: $log"
    elif logged 'certificate.verify|sslerror'; then
        die "the certificate of the package registry cannot be verified; check the system's clock and certificates. Details: $log"
    elif logged "$unreachable"; then
        die "the package registry cannot be reached; check the network and try again. Details: $log"
    elif logged 'no matching distribution'; then
        die "the package registry has no $(missing) for $("$python" --version 2>&1) on this machine; try another Python with PYTHON=. Details: $log"
    fi
    die "pip could not install the package. Details: $log"
}

missing() { sed -n 's/^.*No matching distribution found for \([^ ]*\).*$/\1/p' "$log" | tail -n 1; }

# One set-up of a checkout at a time. The lock names its process: one left behind is void.
take_lock() {
    local holder told='' failures=0
    until ln -s "$$" "$lock" 2>/dev/null; do
        holder=$(readlink "$lock") || holder=''
        if [ -z "$holder" ]; then
            failures=$((failures + 1))
            [ "$failures" -lt 3 ] || die "cannot write to $root; check its owner and the free space."
        elif ! kill -0 "$holder" 2>/dev/null; then
            rm -f "$lock"
        else
            [ -n "$told" ] || say "waiting for the set-up in process $holder"
            told=yes
            sleep 1
        fi
    done
    trap 'rm -f "$lock"' EXIT
    trap 'say "interrupted; the same command goes on from here"; exit 130' INT
}
