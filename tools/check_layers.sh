#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The rules of docs/architecture.md that a machine can check: who may include whom, which system
# headers and functions stay out, headers that compile alone, licence lines, file and function length.
#
#     tools/check_layers.sh [ROOT]        ROOT: the source tree, default the one this script is in
#     tools/check_layers.sh --report      also the distribution of function lengths
#
# Complaints are "file:line: what" on stdout; the exit status is 1 when there is one.
set -u
export LC_ALL=C
report=0
[ "${1:-}" = --report ] && { report=1; shift; }
cd "${1:-$(dirname "$0")/..}" || exit 1

# folder: folders it may include from, besides itself and include/.
layers='
include:
src/base:
src/os: src/base
src/param: src/base
src/model: src/base src/os
src/wire: src/base src/os
src/stats: src/base
engine/cpu: src/base src/os src/model
engine/cuda: src/base src/os
engine/core: src/base src/os src/model engine/cpu engine/cuda
workers: src/base src/os src/model src/wire engine/cpu engine/core
src/backend: src/base src/param src/os src/model src/wire
src/study: src/base src/param src/os src/model src/wire src/backend
src/analysis: src/base src/model src/stats src/study
src/predict: src/base src/model src/stats
src/report: src/base src/stats
src/cli: *
bench: *
'

# folder: headers of that folder alone that another one may take from it (others: all of them).
# The analysis reads the journal and names cells as the study does; it must not drive anything. The
# kernels know the number formats of weights and nothing else of models.
narrow='
src/analysis src/study: journal cell plan sampler claims
engine/cpu src/model: gguf quant
'

# folder: system headers that must not appear there, as an extended regular expression.
banned_headers='
src/stats: (time|unistd|fcntl|poll|signal|pthread|sys/.*)\.h
src/report: (sys/socket|pthread|netinet/.*)\.h
src/wire: gsl/.*\.h
src/base: (time|pthread|gsl/.*)\.h
src/os: gsl/.*\.h
src/model: gsl/.*\.h
engine: gsl/.*\.h
workers: gsl/.*\.h
include: (jansson|yaml|hwloc|gsl/.*)\.h
'

# Never called outside tests: no bound, no error, or a shell.
banned_functions='strcpy|strcat|sprintf|vsprintf|strtok|gets|atoi|atol|atof|system'

# Headers that are meant to be included in the middle of something.
not_alone='
src/param/param_table.h: rows of the parameter table, included several times with a macro defined
src/study/param_table.h: rows of the parameter table, included several times with a macro defined
src/os/ceiling_loops.h: one loop body, compiled once per instruction set
'

# file: reason. Longer than 800 lines.
long_files='
'
# file:function: reason. Longer than 120 lines.
long_functions='
'
MOST_FILE_LINES=800
MOST_FUNCTION_LINES=120

failed=0
complain() {
    printf '%s\n' "$1"
    failed=1
}

# The value of a "key: value" row, or failure when there is no such row.
row() {
    printf '%s' "$1" | awk -v key="$2" '
        index($0, key ":") == 1 { print substr($0, length(key) + 2); found = 1; exit }
        END { exit !found }'
}

sources=$(find include src engine workers bench -type f \( -name '*.[ch]' -o -name '*.inc' \
    -o -name '*.cu' \) 2>/dev/null | sort)
tested=$(find tests fuzz -type f -name '*.[ch]' 2>/dev/null | sort)

# A folder is two deep below src and engine, one elsewhere.
check_includes() {
    # shellcheck disable=SC2086
    [ -n "$sources" ] || return 0
    awk -v layers="$layers" -v narrow="$narrow" -v banned="$banned_headers" '
        function layer(path,    p) {
            split(path, p, "/")
            return p[1] == "src" || p[1] == "engine" ? p[1] "/" p[2] : p[1]
        }
        function exists(path,    line, ok) {
            ok = (getline line < path) >= 0
            close(path)
            return ok
        }
        function say(what) { printf "%s:%d: %s\n", FILENAME, FNR, what; bad = 1 }
        function check(name,    dir, to, mine, words, n, i, head, ok) {
            dir = FILENAME
            sub(/\/[^\/]*$/, "", dir)
            if (name == "il_source_hash.h") return
            if (index(name, "/") == 0) {
                if (!exists(dir "/" name)) say("no file \"" name "\" in this folder")
                return
            }
            if (exists("src/" name)) to = "src/" name
            else if (exists("include/" name)) to = "include/" name
            else if (exists(name)) to = name
            else { say("no file \"" name "\" in src/, include/ or the root"); return }
            mine = layer(FILENAME)
            to = layer(to)
            if (to == mine || to == "include") return
            if (!(mine in allowed)) { say("the folder " mine " has no row in the table of layers"); return }
            if (allowed[mine] !~ /\*/ && index(" " allowed[mine] " ", " " to " ") == 0) {
                say(mine " must not include " to " (\"" name "\")")
                return
            }
            if ((mine " " to) in only) {
                n = split(only[mine " " to], words, " ")
                head = name
                sub(/.*\//, "", head)
                for (i = 1; i <= n; i++) ok = ok || index(head, words[i]) == 1
                if (!ok) say(mine " may take only " only[mine " " to] " from " to " (\"" name "\")")
            }
        }
        BEGIN {
            n = split(layers, rows, "\n")
            for (i = 1; i <= n; i++)
                if ((at = index(rows[i], ":")) > 0) allowed[substr(rows[i], 1, at - 1)] = substr(rows[i], at + 1)
            n = split(narrow, rows, "\n")
            for (i = 1; i <= n; i++)
                if ((at = index(rows[i], ":")) > 0) only[substr(rows[i], 1, at - 1)] = substr(rows[i], at + 1)
            n = split(banned, rows, "\n")
            for (i = 1; i <= n; i++)
                if ((at = index(rows[i], ":")) > 0) never[substr(rows[i], 1, at - 1)] = substr(rows[i], at + 2)
        }
        /^[ \t]*#[ \t]*include[ \t]*"/ {
            name = $0
            sub(/^[^"]*"/, "", name)
            sub(/".*/, "", name)
            check(name)
        }
        /^[ \t]*#[ \t]*include[ \t]*</ {
            name = $0
            sub(/^[^<]*</, "", name)
            sub(/>.*/, "", name)
            for (folder in never)
                if (index(FILENAME, folder "/") == 1 && name ~ ("^" never[folder] "$"))
                    say(folder " must not use <" name ">")
        }
        END { exit bad }
    ' $sources || failed=1
}

# Comments and strings are cut before looking, so that prose may name what code may not call.
check_functions() {
    # shellcheck disable=SC2086
    awk -v names="$banned_functions" '
        FNR == 1 { in_comment = 0 }
        {
            line = $0
            gsub(/\\./, "", line)
            gsub(/"[^"]*"/, "\"\"", line)
            out = ""
            while (line != "") {
                if (in_comment) {
                    at = index(line, "*/")
                    if (!at) { line = ""; break }
                    line = substr(line, at + 2)
                    in_comment = 0
                } else if ((at = index(line, "/*")) > 0) {
                    out = out substr(line, 1, at - 1)
                    line = substr(line, at + 2)
                    in_comment = 1
                } else { out = out line; line = "" }
            }
            if (match(out, "(^|[^A-Za-z0-9_.>])(" names ")[ \t]*\\(")) {
                word = substr(out, RSTART, RLENGTH)
                gsub(/[^A-Za-z]/, "", word)
                printf "%s:%d: %s() is banned\n", FILENAME, FNR, word
                bad = 1
            }
        }
        END { exit bad }
    ' $1 /dev/null || failed=1
}

# A function begins at a line that is "{" alone in the first column and ends at such a "}".
check_lengths() {
    local file lines reason
    for file in $sources $tested; do
        lines=$(wc -l < "$file")
        if [ "$lines" -gt "$MOST_FILE_LINES" ] && ! row "$long_files" "$file" > /dev/null; then
            complain "$file:$lines: longer than $MOST_FILE_LINES lines: split it by idea"
        fi
    done
    # shellcheck disable=SC2086
    awk '
        FNR == 1 { head = ""; start = 0 }
        /^[A-Za-z_].*\(/ && !start { head = $0 }
        /^{/ { start = FNR }
        /^}/ && start {
            name = head
            sub(/\(.*/, "", name)
            sub(/.*[ *]/, "", name)
            print FNR - start + 1, FILENAME ":" start, name
            start = 0
        }
    ' $sources /dev/null | sort -n > "$scratch/functions"
    while read -r lines place name; do
        if [ "$lines" -gt "$MOST_FUNCTION_LINES" ] &&
            ! row "$long_functions" "${place%:*}:$name" > /dev/null; then
            complain "$place: $name has $lines lines, more than $MOST_FUNCTION_LINES"
        fi
    done < "$scratch/functions"
    [ "$report" = 0 ] || awk '
        { length_of[NR] = $1; text[NR] = $0 }
        END {
            if (NR == 0) exit
            printf "%d functions: median %d, p90 %d, longest:\n", NR, length_of[int((NR + 1) / 2)],
                length_of[int(NR * 0.9 + 0.5)]
            for (i = NR; i > NR - 5 && i > 0; i--) print "  " text[i]
        }' "$scratch/functions"
}

check_headers_alone() {
    local cc flags header
    cc=${CC:-cc}
    if ! command -v "$cc" > /dev/null; then
        echo "check_layers: no C compiler, headers are not compiled alone"
        return
    fi
    flags="-std=c17 -D_GNU_SOURCE -Iinclude -Isrc -I. -fsyntax-only -x c"
    for header in $(find include src -name '*.h' 2>/dev/null | sort); do
        row "$not_alone" "$header" > /dev/null && continue
        # shellcheck disable=SC2086
        if ! "$cc" $flags "$header" 2> "$scratch/cc"; then
            complain "$header:1: does not compile alone: $(grep -m1 error "$scratch/cc" | cut -c1-160)"
        fi
    done
}

# What others may embed is Apache-2.0 throughout; the rest is the GPL's.
check_licences() {
    local file want
    for file in $sources; do
        case $file in
            include/* | engine/* | workers/* | src/base/* | src/os/* | src/model/* | src/wire/*)
                want=Apache-2.0 ;;
            src/param/*) continue ;; # either: below the GPL parts only
            *) want=GPL-3.0-or-later ;;
        esac
        head -n 3 "$file" | grep -q "SPDX-License-Identifier: $want" ||
            complain "$file:1: the licence line of this folder is $want"
    done
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
check_includes
check_functions "$sources"
check_lengths
check_headers_alone
check_licences
exit $failed
