#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens a report in headless Chromium over the DevTools pipe and fails when the page asks the network
for anything, says anything on the console, cannot be sorted, or does not fit its window:
browser.py CHROMIUM REPORT.html PICTURES. Leaves pictures (light, dark, narrow) and a PDF in PICTURES.
Standard library only."""
import base64, json, os, pathlib, select, shutil, subprocess, sys, tempfile, time

PATIENCE_S = 60


class Browser:
    def __init__(self, program):
        self.profile = tempfile.mkdtemp(prefix="il-browser.")
        read_fd, their_write = os.pipe()
        their_read, self.write_fd = os.pipe()
        self.read_fd = read_fd
        flags = ["--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu",
                 "--hide-scrollbars", "--no-first-run", "--disable-extensions",
                 "--disable-background-networking", "--disable-component-update",
                 "--user-data-dir=" + self.profile, "about:blank"]

        def pipes():  # the protocol reads from 3 and writes to 4
            a, b = os.dup(their_read), os.dup(their_write)
            os.dup2(a, 3)
            os.dup2(b, 4)
        self.process = subprocess.Popen([program] + flags, preexec_fn=pipes, close_fds=False,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        os.close(their_read)
        os.close(their_write)
        self.rest, self.events, self.n, self.session = b"", [], 0, None

    def message(self, deadline):
        while b"\0" not in self.rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.read_fd], [], [], left)[0]:
                raise TimeoutError("the browser does not answer")
            data = os.read(self.read_fd, 1 << 20)
            if not data:
                raise EOFError("the browser ended")
            self.rest += data
        one, self.rest = self.rest.split(b"\0", 1)
        return json.loads(one)

    def call(self, method, **params):
        self.n += 1
        request = {"id": self.n, "method": method, "params": params}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.write_fd, json.dumps(request).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE_S
        while True:
            m = self.message(deadline)
            if m.get("id") == self.n:
                if "error" in m:
                    raise RuntimeError("%s: %s" % (method, m["error"]))
                return m["result"]
            self.events.append(m)

    def wait(self, method):
        deadline = time.monotonic() + PATIENCE_S
        while not any(e.get("method") == method for e in self.events):
            self.events.append(self.message(deadline))

    def value(self, expression):
        r = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in r:
            raise RuntimeError("%s: %s" % (expression, r["exceptionDetails"]))
        return r["result"].get("value")

    def close(self):
        try:
            self.session = None
            self.call("Browser.close")
        except (OSError, EOFError, TimeoutError):
            self.process.kill()
        self.process.wait(timeout=30)
        shutil.rmtree(self.profile, ignore_errors=True)


def picture(browser, path, width, height, scheme, whole):
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=1, mobile=False)
    browser.call("Emulation.setEmulatedMedia", media="screen",
                 features=[{"name": "prefers-color-scheme", "value": scheme}])
    shot = browser.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
    pathlib.Path(path).write_bytes(base64.b64decode(shot["data"]))


# The first table with several rows: sorts by its last numeric column up, down, and back.
SORT = """(function(){
var out=[],t=Array.prototype.filter.call(document.querySelectorAll('table.sorts'),function(t){
 return t.tBodies[0].rows.length>5&&t.querySelector('td.n')})[0];
var i=Array.prototype.map.call(t.tBodies[0].rows[0].cells,function(c){
 return c.className==='n'}).lastIndexOf(true);
function now(){out.push({order:t.tHead.rows[0].cells[i].getAttribute('aria-sort'),
 values:Array.prototype.map.call(t.tBodies[0].rows,function(r){return r.cells[i].dataset.v})})}
now();for(var k=0;k<3;k++){t.tHead.rows[0].cells[i].querySelector('button').click();now();}
return out})()"""

# Least contrast of any text with its background, by the rule of WCAG.
CONTRAST = """(function(){
function rgb(s){return s.match(/[\\d.]+/g).map(Number)}
function lum(c){var v=c.slice(0,3).map(function(x){x/=255;
 return x<=0.03928?x/12.92:Math.pow((x+0.055)/1.055,2.4)});return .2126*v[0]+.7152*v[1]+.0722*v[2]}
var worst=99,where='';
document.querySelectorAll('body *').forEach(function(e){
 if(e.closest('svg')||!Array.prototype.some.call(e.childNodes,function(n){
  return n.nodeType===3&&n.textContent.trim()})||!e.getClientRects().length)return;
 var b=e,bg;do{bg=rgb(getComputedStyle(b).backgroundColor);b=b.parentElement}
 while(b&&bg.length>3&&bg[3]===0);
 if(bg.length>3&&bg[3]===0)bg=[255,255,255];
 var x=lum(rgb(getComputedStyle(e).color)),y=lum(bg),c=(Math.max(x,y)+.05)/(Math.min(x,y)+.05);
 if(c<worst){worst=c;where=e.tagName+'.'+e.className}});
return {worst:worst,where:where}})()"""


def check(browser, report, pictures, problems):
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    browser.session = browser.call("Target.attachToTarget", targetId=target,
                                   flatten=True)["sessionId"]
    for domain in ("Page", "Runtime", "Log", "Network"):
        browser.call(domain + ".enable")
    url = pathlib.Path(report).resolve().as_uri()
    browser.call("Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1,
                 mobile=False)
    browser.call("Page.navigate", url=url)
    browser.wait("Page.loadEventFired")

    steps = browser.value(SORT)
    given = steps[0]["values"]
    known = [float(v) for v in given if v != ""]
    blank = [""] * (len(given) - len(known))
    orders = [s["order"] for s in steps]
    if orders != ["none", "ascending", "descending", "none"]:
        problems.append("aria-sort goes through %s" % orders)
    numbers = [[float(v) if v != "" else "" for v in s["values"]] for s in steps]
    if numbers[1] != sorted(known) + blank or numbers[2] != sorted(known, reverse=True) + blank:
        problems.append("the table does not sort: %s" % numbers[1:3])
    if steps[3]["values"] != given:
        problems.append("the third click does not bring the first order back")

    for width, height in ((1280, 1400), (390, 1800)):
        for scheme in ("light", "dark"):
            picture(browser, "%s/report_%d_%s.png" % (pictures, width, scheme), width, height,
                    scheme, False)
            wide = browser.value("document.documentElement.scrollWidth")
            if wide > width:
                problems.append("at %d pixels the page is %d wide" % (width, wide))
            contrast = browser.value(CONTRAST)
            if contrast["worst"] < 4.5:
                problems.append("%s, %d: contrast %.2f of %s" %
                                (scheme, width, contrast["worst"], contrast["where"]))
    picture(browser, pictures + "/report_whole.png", 1280, 1400, "light", True)
    paper = "getComputedStyle(document.body).backgroundColor"
    before = browser.value(paper)
    browser.value("document.getElementById('theme').click()")
    if browser.value(paper) == before:
        problems.append("the button does not change the theme")
    browser.value("document.querySelector('.evidence a').click()")
    if not browser.value("!!document.querySelector('tr:target')"):
        problems.append("a finding's link leads to no row")
    pdf = base64.b64decode(browser.call("Page.printToPDF", printBackground=True)["data"])
    pathlib.Path(pictures + "/report.pdf").write_bytes(pdf)
    if not pdf.startswith(b"%PDF"):
        problems.append("it does not print")

    for e in browser.events:
        method, p = e.get("method", ""), e.get("params", {})
        if method == "Network.requestWillBeSent" and p["request"]["url"].split("#")[0] != url:
            problems.append("it asks for %s" % p["request"]["url"][:120])
        elif method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
            problems.append("console: %s" % json.dumps(p)[:300])
        elif method == "Log.entryAdded":
            problems.append("log: %s" % p["entry"]["text"][:300])


def main():
    program, report, pictures = sys.argv[1:4]
    os.makedirs(pictures, exist_ok=True)
    problems = []
    browser = Browser(program)
    try:
        check(browser, report, pictures, problems)
    finally:
        browser.close()
    for p in problems:
        print("browser: " + p)
    if not problems:
        print("pictures in " + pictures)
    return 1 if problems else 0


sys.exit(main())
