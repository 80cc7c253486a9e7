#!/usr/bin/env bash
# Makes what the tests of deploy/ need, once, into $WEIR_TOOLS/compose: docker compose, linters, and, for root, the file systems
# from which images are made where no registry can be reached. tests/setup.sh calls it.
set -euo pipefail
cd "$(dirname "$0")"
out=${WEIR_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/weir-tools}/compose
mkdir -p "$out/bin"

command -v go >/dev/null || { echo "go is missing: install Go 1.26 or newer" >&2; exit 1; }
if ! cmp -s module/go.mod "$out/go.mod"; then
  echo "building docker compose (some minutes)"
  go build -C module -trimpath -ldflags "-s -w" -o "$out/bin/docker-compose" github.com/docker/compose/v2/cmd
  cp module/go.mod "$out/go.mod"
fi

if ! cmp -s requirements.txt "$out/requirements.txt"; then
  echo "installing the linters"
  python3 -m venv --clear "$out/python"
  "$out/python/bin/pip" install -q --disable-pip-version-check -r requirements.txt
  cp requirements.txt "$out/requirements.txt"
fi

# Without these the test runs no containers, and says so.
[ "$(id -u)" = 0 ] || exit 0

# The release of this machine, for which its binaries are.
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' | sed -n "s/^$release //p" | head -n 1)
in_base="ca-certificates libssl3 zlib1g"
servers="postgresql prometheus prometheus-alertmanager systemd systemd-sysv wget"
stamp="$release $mirror $in_base $servers"
[ "$stamp" != "$(cat "$out/debian.stamp" 2>/dev/null)" ] || exit 0
echo "making images of Debian's packages (some minutes)"
rm -f "$out/debian.stamp" "$out"/{debian,servers}.tar
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
quietly() { "$@" >"$folder/log" 2>&1 || { tail -n 10 "$folder/log" >&2; exit 0; }; }
quietly debootstrap --variant=minbase --include="${in_base// /,}" "$release" "$folder/debian" "$mirror"
quietly chroot "$folder/debian" apt-get clean
quietly tar -C "$folder/debian" -cf "$out/debian.tar" .
quietly chroot "$folder/debian" apt-get update -q
# shellcheck disable=SC2086
quietly chroot "$folder/debian" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $servers
quietly chroot "$folder/debian" apt-get clean
quietly tar -C "$folder/debian" -cf "$out/servers.tar" .
echo "$stamp" >"$out/debian.stamp"
