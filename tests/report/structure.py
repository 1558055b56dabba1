#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fails when report.md and report.html do not hold the same numbers in the same order, section by
section, or when the page is not well formed: structure.py REPORT.md REPORT.html. Standard library
only. It knows both formats from their specifications, nothing of how they were written."""
import html.parser, re, sys

NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
VOID = {"meta", "br", "link", "img", "hr", "input"}


class Page(html.parser.HTMLParser):
    """The visible text by section, and what a page must not do."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.sections, self.order, self.stack, self.problems = {"": []}, [""], [], []
        self.ids, self.targets, self.heading, self.hidden = set(), [], None, 0
        self.levels, self.scripts, self.in_nav = [], 0, 0

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        if tag in VOID:
            return
        self.stack.append(tag)
        if tag in ("svg", "style", "script", "nav", "title", "button"):
            self.hidden += 1
        self.scripts += tag == "script"
        if "id" in a:
            if a["id"] in self.ids:
                self.problems.append("the id %s twice" % a["id"])
            self.ids.add(a["id"])
        if tag == "a":
            self.targets.append(a.get("href", ""))
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        if tag == "h2":
            self.heading = ""
        for name, value in attrs:
            if name.startswith("on") or name in ("style", "src"):
                self.problems.append("attribute %s on <%s>" % (name, tag))
        if tag == "th" and a.get("scope") != "col":
            self.problems.append("a header cell without a scope")
        if tag == "svg" and a.get("role") != "img":
            self.problems.append("a picture without a role")
        if tag == "li":
            self.feed_text("\n")

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if not self.stack or self.stack[-1] != tag:
            self.problems.append("</%s> closes %s" % (tag, self.stack[-1:]))
            return
        self.stack.pop()
        if tag in ("svg", "style", "script", "nav", "title", "button"):
            self.hidden -= 1
        if tag == "h2":
            name = self.heading.strip()
            self.order.append(name)
            self.sections[name] = []
            self.heading = None
        self.feed_text(" ")

    def feed_text(self, data):
        self.sections[self.order[-1]].append(data)

    def handle_data(self, data):
        if self.hidden:
            return
        if self.heading is not None:
            self.heading += data
        else:
            self.feed_text(data)


def markdown_sections(text):
    """Text by "## " heading, without what Markdown adds: escapes, list numbers, pictures' paths."""
    sections, order = {"": []}, [""]
    for line in text.split("\n"):
        if line.startswith("## "):
            order.append(line[3:])
            sections[line[3:]] = []
            continue
        line = re.sub(r"^(?:\d+\. |- )", "", line)  # list marks
        line = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", line)
        line = re.sub(r"\\([^\w\s])", r"\1", line)
        line = line.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        sections[order[-1]].append(line)
    return {k: "\n".join(v) for k, v in sections.items()}, order


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        md, md_order = markdown_sections(f.read())
    page = Page()
    with open(sys.argv[2], encoding="utf-8") as f:
        text = f.read()
    page.feed(text)
    page.close()
    problems = page.problems
    if page.stack:
        problems.append("left open: %s" % page.stack)
    if md_order != page.order:
        problems.append("sections differ:\n  %s\n  %s" % (md_order, page.order))
    n_numbers = 0
    for name in md_order:
        a = NUMBER.findall(md.get(name, ""))
        b = NUMBER.findall("".join(page.sections.get(name, [])))
        n_numbers += len(a)
        if a != b:
            at = next((i for i, (p, q) in enumerate(zip(a, b)) if p != q), min(len(a), len(b)))
            problems.append("section %r: %d numbers in Markdown, %d in HTML; from number %d: %s | %s"
                            % (name, len(a), len(b), at + 1, a[at:at + 5], b[at:at + 5]))
    for target in page.targets:
        if not target.startswith("#") or target[1:] not in page.ids:
            problems.append("a link to %r" % target)
    if sum(t.startswith("#") and "-" in t for t in page.targets) < 5:
        problems.append("hardly a finding links to its row")
    if page.levels[:1] != [1] or any(b > a + 1 for a, b in zip(page.levels, page.levels[1:])):
        problems.append("heading levels skip: %s" % page.levels)
    if re.search(r"(?:https?:)?//[\w.]+\.\w", re.sub(r"xmlns=\"[^\"]*\"", "", text)):
        problems.append("the page names an address")
    if n_numbers < 300:
        problems.append("only %d numbers were seen" % n_numbers)
    for p in problems:
        print("structure: " + p)
    if not problems:
        print("%d numbers in %d sections, the same in both" % (n_numbers, len(md_order)))
    return 1 if problems else 0


sys.exit(main())
