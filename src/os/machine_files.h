/* SPDX-License-Identifier: Apache-2.0
 *
 * Small files of /proc and /sys below the replaceable root, and the numbers in them. Nothing here
 * fails loudly: what is missing, empty, negative or too large for its type reads as "not there".
 */
#ifndef IL_OS_MACHINE_FILES_H
#define IL_OS_MACHINE_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "" or the directory given to il_machine_set_root. */
const char *il__sys_root(void);
/* Grows with every il_machine_set_root, so that what was remembered of another root is dropped. */
unsigned il__sys_root_generation(void);

/* Reads at most cap − 1 bytes of root + path (absolute) and ends them with a NUL. False, and "" in
 * text, when it is no readable regular file. A longer file is cut. */
bool il__sys_read(const char *path, char *text, size_t cap);
/* As il__sys_read, for a path made by a format, only the first line, without its end. */
bool il__sys_line(char *text, size_t cap, const char *path_fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The file holds one non-negative decimal integer. */
bool il__sys_u64(uint64_t *out, const char *path_fmt, ...) __attribute__((format(printf, 2, 3)));

/* Reads blanks and a decimal integer at *at and moves *at behind it; false, *at unmoved, when there
 * is none, it is negative or it needs more than 64 bits. */
bool il__scan_u64(const char **at, uint64_t *out);
/* The non-negative decimal fraction ("0.07") at *at, likewise. */
bool il__scan_f64(const char **at, double *out);
/* The text behind `key` where it begins a line, or NULL. */
const char *il__line_of(const char *text, const char *key);
/* The integer behind `key` where it begins a line: "MemTotal:    5 kB". */
bool il__line_u64(const char *text, const char *key, uint64_t *out);
/* Copies up to the end of the line, without blanks at either end. */
void il__copy_line(char *out, size_t cap, const char *from);

#endif
