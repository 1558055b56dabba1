#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The tree keeps the layer rules, and the check finds each kind of planted violation, naming its place.
set -euo pipefail
root=${IL_SOURCE_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
check=$root/tools/check_layers.sh
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if ! bash "$check" "$root"; then
    echo "the tree breaks its own rules"
    exit 1
fi

n_planted=0

# A tree of our own, clean to begin with.
fresh() {
    rm -rf "$scratch/t"
    mkdir -p "$scratch"/t/{include/inferlaw,src/base,src/os,src/stats,src/analysis,src/study,src/wire,engine/cpu}
    cd "$scratch/t"
    printf '/* SPDX-License-Identifier: Apache-2.0 */\n#ifndef E\n#define E\nint e(void);\n#endif\n' > include/inferlaw/error.h
    printf '/* SPDX-License-Identifier: Apache-2.0 */\n#include "inferlaw/error.h"\nint b(void);\n' > src/base/b.h
    printf '/* SPDX-License-Identifier: Apache-2.0 */\n#include "base/b.h"\nint o(void);\n' > src/os/o.h
    printf '/* SPDX-License-Identifier: GPL-3.0-or-later */\nint s(void);\n' > src/stats/s.h
    printf '/* SPDX-License-Identifier: GPL-3.0-or-later */\nint j(void);\n' > src/study/journal.h
    printf '/* SPDX-License-Identifier: GPL-3.0-or-later */\nint d(void);\n' > src/study/driver.h
}

# Appends a line to a file of the clean tree; the check must fail and name file and line.
planted() {
    local what=$1 file=$2 line=$3 expect=$4
    n_planted=$((n_planted + 1))
    fresh
    printf '%b\n' "$line" >> "$file"
    if out=$(bash "$check" "$scratch/t"); then
        echo "not found: $what"
        exit 1
    fi
    if ! grep -qE "$expect" <<< "$out"; then
        printf 'wrong words for %s:\n%s\n' "$what" "$out"
        exit 1
    fi
}

fresh
bash "$check" "$scratch/t" || { echo "the clean tree is not clean"; exit 1; }

planted "an upward include" src/os/o.h '#include "stats/s.h"' '^src/os/o.h:4: src/os must not include src/stats'
planted "an unknown header" src/base/b.h '#include "base/none.h"' '^src/base/b.h:4: no file'
planted "a clock in the base" src/base/b.h '#include "os/o.h"' '^src/base/b.h:4: src/base must not include src/os'
fresh
planted_line='/* SPDX-License-Identifier: GPL-3.0-or-later */\n#include "base/b.h"'
mkdir -p src/newcomer && printf '%b\n' "$planted_line" > src/newcomer/n.h
out=$(bash "$check" "$scratch/t") && { echo "a new folder passed"; exit 1; }
grep -q '^src/newcomer/n.h:2: the folder src/newcomer has no row' <<< "$out"
n_planted=$((n_planted + 1))

spdx='/* SPDX-License-Identifier: GPL-3.0-or-later */'
planted "the driver in the analysis" src/analysis/a.c "$spdx\n#include \"study/driver.h\"" \
    '^src/analysis/a.c:2: src/analysis may take only'
planted "a clock in the statistics" src/stats/s.h '#include <time.h>' '^src/stats/s.h:3: src/stats must not use <time.h>'
planted "a GPL library in the engine" engine/cpu/k.c \
    '/* SPDX-License-Identifier: Apache-2.0 */\n#include <gsl/gsl_math.h>' '^engine/cpu/k.c:2: engine must not use'
planted "a banned function" src/stats/s.c "$spdx\nvoid f(char *p) { strcpy(p, \"x\"); }" '^src/stats/s.c:2: strcpy\(\) is banned'
planted "a shell" src/stats/s.c "$spdx\n/* x */ int g = 0; int f(void) { return system (\"ls\"); }" '^src/stats/s.c:2: system\(\) is banned'
planted "a wrong licence" src/os/x.c "$spdx" '^src/os/x.c:1: the licence line of this folder is Apache-2.0'
planted "a header that leans on others" src/stats/s.h 'size_t n(void);' '^src/stats/s.h:1: does not compile alone'
planted "a long file" src/base/b.h "$(printf '/* */\\n%.0s' $(seq 1 800))" '^src/base/b.h:[0-9]+: longer than 800 lines'
planted "a long function" src/base/b.c \
    "/* SPDX-License-Identifier: Apache-2.0 */\nint long_one(void)\n{\n$(printf ';\\n%.0s' $(seq 1 120))return 0;\n}" \
    '^src/base/b.c:3: long_one has 12[0-9] lines'

# What must pass: the analysis reads the journal; prose and names may hold banned words.
fresh
printf '%b\n' "$spdx" '#include "study/journal.h"' '/* never strcpy() here */' \
    'const char *f(void) { return "gets()"; }' 'int my_system(int x);' 'int g(void) { return my_system(1); }' > src/analysis/a.c
bash "$check" "$scratch/t" || { echo "a false alarm"; exit 1; }
echo "layers: the tree is clean and $n_planted planted violations were found"
