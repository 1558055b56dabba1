#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Formatting, layers and housekeeping rules, all of them fast. Prints what is wrong, file by file.
set -u
cd "$(dirname "$0")/.." || exit 1
failed=0

if command -v clang-format >/dev/null 2>&1; then
    bad=$(find include src engine workers tests bench -name '*.[ch]' -o -name '*.inc' 2>/dev/null |
        grep -v -e param_table.h -e synth_vectors.inc -e /build | xargs clang-format --dry-run 2>&1 |
        sed -n 's/^\([^:]*\):.*clang-format-violations.*/\1/p' | sort -u)
    if [ -n "$bad" ]; then
        echo "not in the house format (make format):"
        echo "$bad" | sed 's/^/  /'
        failed=1
    fi
else
    echo "lint: clang-format is not here, formatting is not checked"
fi

if [ -f tools/check_layers.sh ]; then
    bash tools/check_layers.sh || failed=1
fi

for file in $(find include src engine workers tests bench tools -name '*.[ch]' -o -name '*.sh' -o -name '*.py' -o -name '*.inc' | grep -v /build); do
    if ! head -n 3 "$file" | grep -q 'SPDX-License-Identifier'; then
        echo "no licence line: $file"
        failed=1
    fi
done
exit $failed
