/* SPDX-License-Identifier: Apache-2.0 */
#include "base/version.h"

#include "il_source_hash.h" /* made by the build: IL_SOURCE_HASH */

const char *il_version_text(void)
{
    return IL_VERSION;
}

const char *il_source_hash(void)
{
    return IL_SOURCE_HASH;
}

const char *il_build_text(void)
{
#if defined(__clang__)
    return "clang " __clang_version__ ", " IL_BUILD_TYPE;
#elif defined(__GNUC__)
    return "gcc " __VERSION__ ", " IL_BUILD_TYPE;
#else
    return "unknown compiler, " IL_BUILD_TYPE;
#endif
}
