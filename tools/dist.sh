#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A relocatable tarball: programs, suites, configs, manual, and every shared library they need but
# the C library, which is the machine's own (the same version or newer). Unpack it anywhere and run
# bin/inferlaw. Usage: tools/dist.sh BUILD_DIR. When debootstrap is there and this is root,
# IL_DIST_TRY=1 also runs the tarball in a bare chroot without any package.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

cmake -G Ninja -S . -B "$build" -DCMAKE_INSTALL_PREFIX=/ >/dev/null
ninja -C "$build" --quiet
version=$("$build/inferlaw" --version | awk '{print $2}')
name=inferlaw-$version-linux-$(uname -m)
DESTDIR="$stage/$name" cmake --install "$build" >/dev/null
rm -rf "$stage/$name/lib" "$stage/$name/include"
mkdir -p "$stage/$name/lib/inferlaw"
own='linux-vdso|ld-linux|/lib(c|m|pthread|dl|rt|resolv|util)\.so'
ldd "$build/inferlaw" "$build/inferlaw-worker-native" | awk '/=> \//{print $3}' | sort -u | grep -Ev "$own" |
    while read -r library; do cp -L "$library" "$stage/$name/lib/inferlaw/"; done
cp README.md "$stage/$name/"
tar -C "$stage" --owner=0 --group=0 --sort=name --mtime='@0' -cf - "$name" | gzip -n9 >"$build/$name.tar.gz"
echo "$build/$name.tar.gz, $(du -h "$build/$name.tar.gz" | cut -f1)"

if [ -n "${IL_DIST_TRY:-}" ]; then
    bare="$stage/bare"
    mkdir -p "$bare/usr/lib/x86_64-linux-gnu" "$bare/tmp" "$bare/lib64"
    # A root that holds nothing but the C library, as far from a developer's machine as can be.
    for library in ld-linux-x86-64.so.2 libc.so.6 libm.so.6 libpthread.so.0 libdl.so.2 librt.so.1 libresolv.so.2; do
        cp -L "/usr/lib/x86_64-linux-gnu/$library" "$bare/usr/lib/x86_64-linux-gnu/" 2>/dev/null || true
    done
    cp -L /lib64/ld-linux-x86-64.so.2 "$bare/lib64/"
    ln -s usr/lib "$bare/lib"
    mkdir -p "$bare/opt" "$bare/proc" "$bare/dev" "$bare/sys"
    mount -t proc proc "$bare/proc"
    mount -t sysfs -o ro sys "$bare/sys"
    touch "$bare/dev/null"
    mount --bind /dev/null "$bare/dev/null"
    trap 'umount -l "$bare/proc" "$bare/sys" "$bare/dev/null"; rm -rf "$stage"' EXIT
    tar -C "$bare/opt" -xzf "$build/$name.tar.gz"
    chroot "$bare" "/opt/$name/bin/inferlaw" --version
    chroot "$bare" "/opt/$name/bin/inferlaw" model make --suite tr121/tiny-gpt2 --out /tmp/models
    chroot "$bare" "/opt/$name/bin/inferlaw" run "/opt/$name/share/inferlaw/configs/quick.yaml" --models tiny-gpt2 \
        --no-plots --out-dir /tmp/run
    chroot "$bare" "/opt/$name/bin/inferlaw" verify /tmp/run
    echo "the tarball works in a root that holds the C library alone"
fi
