# Sourced by scripts/nndiag and scripts/test: makes or reuses .venv in the checkout.
# Speaks on stderr only, so that the command's own output can be piped.

root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=$root/.venv
log=$venv/setup.log

say() { printf '%s\n' "nndiag set-up: $*" >&2; }
die() { say "$*"; exit 1; }

# Prints the first Python that is new enough; $PYTHON, if set, is the only candidate.
find_python() {
    local candidate seen=''
    for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3 python}; do
        command -v "$candidate" >/dev/null 2>&1 || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
        seen=$("$candidate" --version 2>&1) || seen=''
        [ -n "$seen" ] && seen="$candidate is $seen"
    done
    if [ -n "$seen" ]; then
        die "Python 3.11 or newer is needed, but $seen; install it or set PYTHON=/path/to/python3.11."
    fi
    die "no Python was found; install Python 3.11 or newer, or set PYTHON=/path/to/python3.11."
}

# What an installation depends on: the package's metadata and the extras asked for.
fingerprint() { { printf '%s\n' "$1"; cat "$root/pyproject.toml"; } | cksum; }

make_venv() {
    local python
    python=$(find_python) || exit 1
    [ -x "$venv/bin/python" ] && "$venv/bin/python" -c 'import pip' 2>/dev/null && return
    say "creating .venv with $("$python" --version 2>&1)"
    rm -rf "$venv"
    "$python" -m venv "$venv" >/dev/null 2>&1 ||
        die "$python cannot create a virtual environment; install its venv package (Debian: apt install python3-venv) and check that the disk is not full."
}

explain_failure() {
    if grep -qiE 'no space left|errno 28' "$log"; then
        die "the disk is full; torch needs about 6 GB free. Details: $log"
    elif grep -qiE 'connection|resolve|network|timed out|no matching distribution|could not find a version' "$log"; then
        die "the package registry cannot be reached or lacks a package; check the network and try again. Details: $log"
    fi
    die "pip could not install the package. Details: $log"
}

# ensure EXTRAS: .venv holds this checkout (editable) with these extras.
ensure() {
    local wanted stamp=$venv/.nndiag-$1
    wanted=$(fingerprint "$1")
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && [ -x "$venv/bin/nndiag" ]; then
        return
    fi
    make_venv
    say "installing nndiag[$1] into .venv (the first time torch is downloaded: a few minutes)"
    "$venv/bin/python" -m pip install --disable-pip-version-check -e "$root[$1]" >"$log" 2>&1 ||
        explain_failure
    printf '%s\n' "$wanted" >"$stamp"
    say "ready"
}
