/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/html_page.h"

#include "report/svg.h"

#include <openssl/evp.h>
#include <string.h>

/* Everything here only adds to a page that is whole without it: a button for the theme, columns
 * that sort (ascending, descending, as written). What was not measured stays last. */
const char il__html_script[] =
    "(function(){'use strict';\n"
    "var root=document.documentElement,theme=document.getElementById('theme');\n"
    "function isDark(){var t=root.dataset.theme;return t?t==='dark':"
    "matchMedia('(prefers-color-scheme: dark)').matches;}\n"
    "theme.hidden=false;\n"
    "theme.addEventListener('click',function(){root.dataset.theme=isDark()?'light':'dark';});\n"
    "function keyOf(row,i){var c=row.cells[i],v=c.dataset.v;\n"
    "if(v!==undefined)return v===''?null:Number(v);var t=c.textContent.trim();"
    "return t==='-'?null:t;}\n"
    "function compare(a,b){return typeof a==='number'&&typeof b==='number'?a-b:"
    "String(a).localeCompare(String(b),'en',{numeric:true});}\n"
    "function sortBy(table,head,i,order){var body=table.tBodies[0];\n"
    "var rows=Array.prototype.slice.call(body.rows);\n"
    "rows.forEach(function(r,k){if(r.dataset.k===undefined)r.dataset.k=String(k);});\n"
    "rows.sort(function(p,q){var back=Number(p.dataset.k)-Number(q.dataset.k);\n"
    "if(order==='none')return back;var a=keyOf(p,i),b=keyOf(q,i);\n"
    "if(a===null||b===null)return a===b?back:a===null?1:-1;\n"
    "var c=compare(a,b);return (order==='descending'?-c:c)||back;});\n"
    "rows.forEach(function(r){body.appendChild(r);});\n"
    "Array.prototype.forEach.call(head.cells,function(h,k){"
    "h.setAttribute('aria-sort',k===i?order:'none');});}\n"
    "Array.prototype.forEach.call(document.querySelectorAll('table.sorts'),function(table){\n"
    "var head=table.tHead.rows[0];\n"
    "Array.prototype.forEach.call(head.cells,function(th,i){\n"
    "var b=document.createElement('button');b.type='button';\n"
    "while(th.firstChild)b.appendChild(th.firstChild);th.appendChild(b);"
    "th.setAttribute('aria-sort','none');\n"
    "b.addEventListener('click',function(){var was=th.getAttribute('aria-sort');\n"
    "sortBy(table,head,i,was==='none'?'ascending':was==='ascending'?'descending':'none');});});});"
    "\n})();\n";

/* 'sha256-…' of a text, as the policy names what it allows. */
static void put_hash(il_buf *to, const char *text, size_t n)
{
    unsigned char digest[EVP_MAX_MD_SIZE], base64[2 * EVP_MAX_MD_SIZE];
    unsigned int n_digest = 0;
    if (EVP_Digest(text, n, digest, &n_digest, EVP_sha256(), NULL) != 1) {
        return; /* the page then shows without style: its content is all there */
    }
    (void)EVP_EncodeBlock(base64, digest, (int)n_digest);
    (void)il_buf_printf(to, "'sha256-%s'", (const char *)base64);
}

void il__html_head(il_buf *to, const char *title)
{
    il_buf style;
    il_buf_init(&style, 1 << 20);
    il__html_style(&style);
    (void)il_buf_puts(to, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                          "<meta http-equiv=\"Content-Security-Policy\" content=\""
                          "default-src 'none'; base-uri 'none'; form-action 'none'; style-src ");
    put_hash(to, il_buf_text(&style), style.len);
    (void)il_buf_puts(to, "; script-src ");
    put_hash(to, il__html_script, strlen(il__html_script));
    (void)il_buf_puts(to, "\">\n<meta name=\"viewport\" content=\"width=device-width, "
                          "initial-scale=1\">\n<title>");
    il__html_text(to, title);
    (void)il_buf_puts(to, "</title>\n<style>");
    (void)il_buf_append(to, il_buf_text(&style), style.len);
    (void)il_buf_puts(to, "</style>\n</head>\n<body>\n");
    il_buf_free(&style);
}

void il__html_tail(il_buf *to)
{
    (void)il_buf_puts(to, "<script>");
    (void)il_buf_puts(to, il__html_script);
    (void)il_buf_puts(to, "</script>\n</body>\n</html>\n");
}
