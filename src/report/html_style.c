/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The look of report.html. Dark is a second set of variables, taken when the system asks for it or
 * the reader does. Contrast of text on its background is at least 4.5 to 1 in both.
 */
#include "report/html_page.h"

#include "report/svg.h"

static const char light[] =
    "color-scheme:light;--page:#fff;--ink:#1d2025;--muted:#5a6069;--line:#e6e7e4;--soft:#f6f6f4;"
    "--accent:#0b5fa5;--good:#176639;--good-bg:#e4f3e9;--bad:#a32118;--bad-bg:#fbe8e5;"
    "--weak:#805200;--weak-bg:#fbf0d9;--odd:#663a96;--odd-bg:#f0e8f8;--none:#5a6069;"
    "--none-bg:#eeeeec;--target:#fff6d6;--shade:#d9dad7;";
static const char dark[] =
    "color-scheme:dark;--page:#14161a;--ink:#e7e8e6;--muted:#a2a8b0;--line:#2b2f36;--soft:#1b1e23;"
    "--accent:#79b8f0;--good:#7fd6a1;--good-bg:#16301f;--bad:#f2958b;--bad-bg:#3a1a17;"
    "--weak:#e6b95f;--weak-bg:#33270f;--odd:#c7a3ee;--odd-bg:#2a1c3b;--none:#a2a8b0;"
    "--none-bg:#24272d;--target:#3a3212;--shade:#3a3f48;";

static const char page[] =
    "*{box-sizing:border-box}html{scroll-padding-top:1rem;-webkit-text-size-adjust:100%}"
    "body{margin:0;overflow-wrap:anywhere;background:var(--page);color:var(--ink);font:16px/1.55 "
    "system-ui,-apple-system,"
    "'Segoe UI',Roboto,'DejaVu Sans',sans-serif}"
    "a{color:var(--accent);text-decoration-thickness:1px;text-underline-offset:2px}"
    ":focus-visible{outline:2px solid var(--accent);outline-offset:2px}"
    ".skip{position:absolute;left:-99em}.skip:focus{left:1rem;top:1rem;background:var(--page);"
    "padding:.5rem}"
    ".sheet{max-width:80rem;margin:0 auto;padding:0 1.5rem 4rem;display:grid;"
    "grid-template-columns:10.5rem minmax(0,1fr);column-gap:2rem}"
    "header{grid-column:2;display:flex;align-items:baseline;gap:1rem;padding-top:2.25rem}"
    "header h1{flex:1}nav{grid-column:1;grid-row:2;position:sticky;top:0;align-self:start;"
    "max-height:100vh;overflow:auto;padding:.55rem 0 2rem;font-size:.8125rem}"
    "nav ol{list-style:none;margin:0;padding:0}nav a{display:block;padding:.2rem 0;"
    "color:var(--muted);text-decoration:none}nav a:hover{color:var(--ink)}"
    "main{grid-column:2;min-width:0}"
    "h1{font-size:1.5rem;line-height:1.25;margin:0;font-weight:650;letter-spacing:-.01em;"
    "overflow-wrap:anywhere}"
    "h2{font-size:1.1875rem;line-height:1.3;margin:3.25rem 0 .75rem;padding-top:1rem;"
    "border-top:1px solid var(--line);font-weight:650}"
    "h3{font-size:1rem;margin:2rem 0 .5rem;font-weight:650}"
    "p,ul,ol{margin:.6rem 0;max-width:46rem}li{margin:.2rem 0}"
    "code{font:.875em/1.4 ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;"
    "overflow-wrap:anywhere}"
    "pre{background:var(--soft);border:1px solid var(--line);border-radius:6px;padding:.7rem .9rem;"
    "overflow-x:auto;max-width:46rem}pre code{overflow-wrap:normal}"
    "button{font:inherit;color:inherit;background:none;border:0;padding:0;cursor:pointer}"
    "#theme{font-size:.8125rem;color:var(--muted);border:1px solid var(--line);border-radius:6px;"
    "padding:.25rem .7rem;white-space:nowrap}#theme:hover{color:var(--ink)}"
    ".lead{font-size:1.125rem;line-height:1.5;max-width:46rem}.lead strong:first-child{display:"
    "block;font-size:.75rem;font-weight:650;letter-spacing:.06em;text-transform:uppercase;"
    "color:var(--muted);margin-top:1rem}";

static const char strip[] =
    ".strip{display:flex;flex-wrap:wrap;gap:1px;"
    "margin:1.5rem 0;border:1px solid var(--line);border-radius:8px;overflow:hidden;"
    "background:var(--line)}"
    ".strip>div{flex:1 1 18rem;background:var(--page);padding:.6rem .8rem .65rem;"
    "border-left:3px solid var(--line)}"
    ".strip .good{border-left-color:var(--good)}.strip .weak{border-left-color:var(--weak)}"
    ".strip .bad{border-left-color:var(--bad)}"
    ".strip dt{font-size:.75rem;color:var(--muted)}.strip dd{margin:0}"
    ".strip .value{font-size:.9375rem;line-height:1.4;font-weight:600;"
    "font-variant-numeric:tabular-nums;overflow-wrap:anywhere}"
    ".strip .ci{font-weight:400;white-space:nowrap}"
    ".strip .why{font-size:.75rem;line-height:1.4;color:var(--muted)}"
    ".chip{display:inline-block;font-size:.75rem;line-height:1.5;font-weight:600;padding:0 .5rem;"
    "border-radius:1em;white-space:nowrap;color:var(--none);background:var(--none-bg)}"
    ".chip.good{color:var(--good);background:var(--good-bg)}"
    ".chip.bad{color:var(--bad);background:var(--bad-bg)}"
    ".chip.weak{color:var(--weak);background:var(--weak-bg)}"
    ".chip.odd{color:var(--odd);background:var(--odd-bg)}"
    ".findings{list-style:none;padding:0;max-width:50rem}"
    ".findings li{display:grid;grid-template-columns:8.5rem minmax(0,1fr);gap:.15rem 1rem;"
    "padding:.7rem 0;border-bottom:1px solid var(--line);margin:0}"
    ".findings li:last-child{border-bottom:0}.findings p{margin:0;max-width:none}"
    ".findings .evidence{grid-column:2;font-size:.75rem;color:var(--muted);overflow-wrap:anywhere}"
    ".findings .evidence a{color:inherit}.findings .evidence a:hover{color:var(--accent)}"
    "figure{margin:1.5rem 0 2rem;max-width:55rem}"
    "svg.plot{display:block;width:100%;height:auto}svg.narrow{display:none}"
    "figcaption{font-size:.8125rem;color:var(--muted);max-width:46rem;margin-top:.5rem}"
    "figcaption strong{color:var(--ink)}";

static const char tables[] =
    ".box{overflow:auto;max-height:38rem;border:1px solid var(--line);border-radius:8px;"
    "margin:1rem 0 1.25rem;max-width:max-content;background:"
    "linear-gradient(to right,var(--page) 30%,transparent),"
    "linear-gradient(to left,var(--page) 30%,transparent) 100% 0,"
    "linear-gradient(to right,var(--shade),transparent),"
    "linear-gradient(to left,var(--shade),transparent) 100% 0;background-repeat:no-repeat;"
    "background-size:3rem 100%,3rem 100%,.9rem 100%,.9rem 100%;"
    "background-attachment:local,local,scroll,scroll}"
    "table{border-collapse:separate;border-spacing:0;font-size:.8125rem;line-height:1.4;"
    "font-variant-numeric:tabular-nums}"
    "caption{text-align:left;padding:.6rem .75rem;color:var(--muted)}"
    "th,td{padding:.36rem .65rem;text-align:left;vertical-align:top;border-bottom:1px solid "
    "var(--line)}tbody tr:last-child td{border-bottom:0}"
    "thead th{position:sticky;top:0;background:var(--soft);font-weight:600;white-space:nowrap;"
    "z-index:1}"
    "table{overflow-wrap:normal}td{white-space:nowrap}td.prose{white-space:normal;min-width:26rem;"
    "max-width:40rem;"
    "overflow-wrap:anywhere}"
    ".n{text-align:right}.ci{color:var(--muted)}"
    "th button{font-weight:600;white-space:nowrap;position:relative}"
    "th button::after{content:'\\2195';opacity:0;position:absolute;left:100%;padding-left:.1em}"
    ".n button::after{left:auto;right:100%}th button:hover::after{opacity:.6}"
    "th[aria-sort=ascending] button::after{content:'\\2191';opacity:1}"
    "th[aria-sort=descending] button::after{content:'\\2193';opacity:1}"
    "tbody tr:hover td{background:var(--soft)}tr:target td{background:var(--target)}"
    ".more{font-size:.8125rem;color:var(--muted)}"
    "footer{grid-column:2;margin-top:3rem;font-size:.75rem;color:var(--muted)}";

static const char narrow[] =
    "@media(max-width:60rem){.sheet{display:block;padding:0 1rem 3rem}header{padding-top:1.25rem}"
    "nav{position:static;max-height:none;padding:.6rem 0 0;overflow:visible}"
    "nav ol{display:flex;gap:.1rem 1.1rem;overflow-x:auto;white-space:nowrap}.findings "
    "li{display:block}"
    ".findings .chip{margin-bottom:.25rem}.lead{font-size:1.0625rem}h1{font-size:1.25rem}}"
    "@media screen and (max-width:36rem){svg.plot{display:none}svg.narrow{display:block}"
    "td.prose{min-width:16rem}.strip>div{flex-basis:9rem}.strip .why{display:none}"
    "th,td{padding:.32rem .55rem}}"
    "@media print{.sheet{display:block;max-width:none;padding:0}nav,#theme,.skip{display:none}"
    "body{font-size:9.5pt}h2{break-after:avoid;margin-top:1.5rem}h3,caption{break-after:avoid}"
    "figure,.strip>div,.findings li,tr{break-inside:avoid}.box{max-height:none;overflow:visible;"
    "border:0;max-width:100%}"
    "thead{display:table-header-group}thead th{position:static}table{font-size:6.5pt;width:100%}"
    "th,td{padding:.15rem .3rem;white-space:normal!important}td.prose{min-width:9rem}"
    "th button::after{content:none!important}"
    "a{color:inherit}}";

void il__html_style(il_buf *to)
{
    (void)il_buf_printf(to, ":root{%s%s}", light, il__svg_light);
    (void)il_buf_printf(to,
                        "@media screen and (prefers-color-scheme:dark){"
                        ":root:not([data-theme=light]){%s%s}}",
                        dark, il__svg_dark);
    (void)il_buf_printf(to, "@media screen{:root[data-theme=dark]{%s%s}}", dark, il__svg_dark);
    (void)il_buf_puts(to, page);
    (void)il_buf_puts(to, strip);
    (void)il_buf_puts(to, tables);
    (void)il_buf_puts(to, il__svg_style);
    (void)il_buf_puts(to, narrow);
}
