#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The seven TR121 shapes in every format their widths allow, each file loaded by the runtime it is
# for; what a width does not allow is refused with a sentence, what falls back is recorded.
# The small three in all types, the others in the widest and the narrowest.
. "$(dirname "$0")/lib.sh"
need llama.cpp-light ollama onnxruntime
formats=${IL_SOURCE_DIR:?}/tests/live/formats.py
here=$work/models
for shape in tiny-gpt2 gpt2-5m gpt2-25m gpt2-45m gpt2-50m gpt2-75m gpt2-100m; do
    case $shape in
    tiny-gpt2 | gpt2-5m | gpt2-25m) types="F32 F16 BF16 Q8_0 Q4_0 Q4_K_M" ;;
    *) types="F32 Q4_K_M" ;;
    esac
    "$inferlaw" model make -q --suite tr121/$shape --out "$here" || fail "model make $shape"
    files=() in_ollama=()
    for type in $types; do
        file=$here/$shape-$type.gguf said=$work/said
        if "$inferlaw" model convert "$here/$shape" --gguf-type "$type" --out "$file" 2>"$said" >/dev/null; then
            files+=("$file")
            case $type in F32 | Q4_K_M) in_ollama+=("$file") ;; esac
            [[ $shape = tiny-gpt2 && $type = Q* ]] && fail "tiny-gpt2 has no width for $type"
            if grep -q 'another type' "$said"; then
                head -c 8000000 "$file" | grep -qa 'inferlaw.fallback' ||
                    fail "$shape $type: the file does not name what fell back"
            elif [[ $shape = gpt2-5m && $type = Q* ]]; then
                fail "gpt2-5m is 80 wide: something fell back in $type, and nothing is said"
            fi
        elif [[ $shape != tiny-gpt2 || $type != Q* ]]; then
            fail "$shape as $type: $(cat "$said")"
        else
            grep -q "multiple of a block of $type" "$said" && grep -q 'take F32, F16 or BF16' "$said" ||
                fail "$shape as $type is refused with other words: $(cat "$said")"
            [ ! -e "$file" ] || fail "$file was made"
        fi
    done
    "$inferlaw" model convert -q "$here/$shape" --format onnx --out "$here/$shape.onnx" || fail "$shape as ONNX"
    python3 "$formats" llama.cpp "$build/tests/live_serve" "${files[@]}" || fail "$shape in llama.cpp"
    python3 "$formats" ollama "$build/tests/live_serve" "${in_ollama[@]}" || fail "$shape in Ollama"
    "$runtimes/onnxruntime/bin/python" "$formats" onnxruntime "$here/$shape.onnx" || fail "$shape in ONNX Runtime"
    rm -rf "$here"
done
done_live
