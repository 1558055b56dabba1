/* SPDX-License-Identifier: Apache-2.0
 *
 * Who made this binary: the version and a hash over the source tree it was built from, printed in
 * every manifest.
 */
#ifndef IL_BASE_VERSION_H
#define IL_BASE_VERSION_H

const char *il_version_text(void); /* "0.1.0" */
const char *il_source_hash(void);  /* 16 hex digits over all compiled sources */
const char *il_build_text(void);   /* compiler and build type */

#endif
