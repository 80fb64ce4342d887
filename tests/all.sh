#!/usr/bin/env bash
# All tests: the Rust ones, then Slack's official Python clients and the chat page in Chromium, both against the
# simulator. Installs what is missing of Debian's packages (as root or through sudo); a venv of its own under target/.
#
#   tests/all.sh [--rust-only]
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null

rust_only=false
for argument in "$@"; do
  case "$argument" in
    --rust-only) rust_only=true ;;
    -h|--help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "tests/all.sh: unknown argument $argument; the only one there is: --rust-only" >&2; exit 2 ;;
  esac
done

fail() { echo "tests/all.sh: $*" >&2; exit 1; }
step() { printf '\n== %s\n' "$*"; }

target="${CARGO_TARGET_DIR:-target}"
venv="$target/venv"

# Debian's packages, only those that are missing.
missing=()
command -v cc >/dev/null || missing+=(gcc libc6-dev)
if ! $rust_only; then
  command -v chromium >/dev/null || missing+=(chromium fonts-liberation)
  command -v chromedriver >/dev/null || missing+=(chromium-driver)
  command -v python3 >/dev/null && python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
fi
if [ ${#missing[@]} -gt 0 ]; then
  step "installing ${missing[*]}"
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null || fail "missing: ${missing[*]}. Install them with apt-get, or run this as root or with sudo."
    as_root=(sudo -n)
  fi
  command -v apt-get >/dev/null || fail "missing: ${missing[*]}, and there is no apt-get here to install them with."
  "${as_root[@]}" apt-get update -q || fail "apt-get update failed; see above."
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" || fail "apt-get could not install ${missing[*]}; see above."
fi

step "cargo test"
cargo test --locked || fail "the Rust tests failed; see above."
if $rust_only; then exit 0; fi

step "cargo build"
cargo build --locked --bin callboard || fail "the binary does not build; see above."

step "Python packages"
requirements=(tests/peers/requirements.txt tests/page/requirements.txt)
stamp="$(cat "${requirements[@]}" | cksum) $(python3 --version)"
if [ "$(cat "$venv/installed" 2>/dev/null)" != "$stamp" ]; then
  rm -rf "$venv"
  python3 -m venv "$venv" || fail "python3 -m venv failed; see above."
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r "${requirements[0]}" -r "${requirements[1]}" \
    || fail "pip could not install the pinned packages; see above."
  printf '%s\n' "$stamp" >"$venv/installed"
fi

step "peers and page"
CALLBOARD_BIN="$(realpath "$target/debug/callboard")" timeout --kill-after=15 600 "$venv/bin/python" tests/run.py peers page \
  || fail "the tests of the peers and the page failed; logs and screenshots are under $target/python-tests."
