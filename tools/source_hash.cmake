# SPDX-License-Identifier: GPL-3.0-or-later
# Writes OUT with IL_SOURCE_HASH: 16 hex digits of a SHA-256 over name and content of every compiled
# source below ROOT, in sorted order.
file(GLOB_RECURSE sources RELATIVE ${ROOT}
     ${ROOT}/include/*.h ${ROOT}/src/*.c ${ROOT}/src/*.h ${ROOT}/engine/*.c ${ROOT}/engine/*.h
     ${ROOT}/engine/*.inc ${ROOT}/workers/*.c ${ROOT}/workers/*.h ${ROOT}/workers/*.py)
list(SORT sources)
set(all "")
foreach(source ${sources})
  file(SHA256 ${ROOT}/${source} one)
  string(APPEND all "${source} ${one}\n")
endforeach()
string(SHA256 hash "${all}")
string(SUBSTRING ${hash} 0 16 hash)
file(WRITE ${OUT} "#define IL_SOURCE_HASH \"${hash}\"\n")
