/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What report.html carries beside its content: one style sheet and one script, both inline and
 * allowed by their hash alone. Shared by the files of src/report only.
 */
#ifndef IL_REPORT_HTML_PAGE_H
#define IL_REPORT_HTML_PAGE_H

#include "base/buf.h"

/* The doctype to the opening <body>, with the content security policy. */
void il__html_head(il_buf *to, const char *title);
/* The script and the end of the page. */
void il__html_tail(il_buf *to);

extern const char il__html_script[];
/* The whole style sheet. */
void il__html_style(il_buf *to);

#endif
