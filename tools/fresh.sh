#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves the README's two commands on a bare Debian: debootstrap makes one with git, make and
# certificates alone, the committed tree is cloned into it, and `make study` and `make test` run
# there as root. Usage: tools/fresh.sh [study|test …]; needs root. The directory is kept in
# $IL_FRESH_DIR when that is set, else removed.
set -euo pipefail
cd "$(dirname "$0")/.."

[ "$(id -u)" -eq 0 ] || { echo "make fresh needs root: debootstrap and chroot" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "make fresh needs debootstrap: apt-get install debootstrap" >&2; exit 1; }

# The mirror and suite are whatever this machine's own package manager uses.
read -r mirror suite < <(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
    grep -v -e security -e updates -e backports | sort -u | head -n 1)
[ -n "${mirror:-}" ] || { echo "no mirror in this machine's package configuration" >&2; exit 1; }

root=${IL_FRESH_DIR:-$(mktemp -d "${TMPDIR:-/tmp}/inferlaw-fresh.XXXXXX")}
finish() {
    for mount in proc sys dev/pts dev; do
        mountpoint -q "$root/$mount" && umount -l "$root/$mount"
    done
    [ -n "${IL_FRESH_DIR:-}" ] || rm -rf "$root"
}
trap finish EXIT

if [ ! -x "$root/usr/bin/make" ]; then
    debootstrap --variant=minbase --include=git,make,ca-certificates "$suite" "$root" "$mirror" >"$root.log" 2>&1 ||
        { tail -n 20 "$root.log"; exit 1; }
    rm -f "$root.log"
fi
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sys "$root/sys"
mount --bind /dev "$root/dev"
[ ! -d "$root/dev/pts" ] || mount --bind /dev/pts "$root/dev/pts" 2>/dev/null || true
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
[ ! -d /etc/apt/apt.conf.d ] || cp -r /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/"
[ ! -e /etc/ssl/certs/ca-certificates.crt ] || cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"

rm -rf "$root/root/inferlaw"
git clone -q . "$root/root/inferlaw"
for target in "${@:-study test}"; do
    for one in $target; do
        echo "== make $one in a bare $suite"
        start=$(date +%s)
        chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
            make -C /root/inferlaw "$one" </dev/null
        echo "== make $one: $(($(date +%s) - start)) s"
    done
done
