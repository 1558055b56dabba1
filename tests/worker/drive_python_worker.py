# SPDX-License-Identifier: GPL-3.0-or-later
"""Talks to tests/worker/fake_runtime.py as the driver does and checks every answer.

usage: drive_python_worker.py FAKE_RUNTIME SCRATCH_DIR"""
import json
import os
import struct
import subprocess
import sys
import time

fake, scratch = sys.argv[1:3]
bad = 0


def check(good, what):
    global bad
    if not good:
        bad += 1
        print(f"FAILED: {what}")


class Worker:
    def __init__(self):
        self.child = subprocess.Popen([sys.executable, "-B", fake], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.n = 0
        self.hello = json.loads(self.child.stdout.readline())

    def raw(self, data):
        self.child.stdin.write(data)
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        return json.loads(line) if line else None

    def ask(self, kind, **keys):
        self.n += 1
        reply = self.raw((json.dumps({"id": self.n, "type": kind, **keys}) + "\n").encode())
        check(reply is not None and reply["id"] == self.n, f"{kind}: the id comes back")
        return reply

    def load(self, **keys):
        request = dict(model="/m", dtype="fp32", device="cpu", threads=1, affinity=None, isa="auto",
                       logits="last", huge_pages="default", max_batch=2, max_prompt_tok=8,
                       max_gen_tok=8, options={})
        request.update(keys)
        return self.ask("load", **request)

    def end(self):
        self.child.stdin.close()
        status = self.child.wait(timeout=10)
        return status, self.child.stdout.read(), self.child.stderr.read().decode()


def refused(reply, code, part):
    check(reply is not None and reply["ok"] is False and reply["code"] == code
          and part in reply["what"], f"{code} with \"{part}\", got {reply}")


before = time.monotonic_ns()
w = Worker()
check(w.hello["type"] == "hello" and w.hello["protocol"] == 1, "hello")
check(before < w.hello["t_main_ns"] < time.monotonic_ns(), "t_main_ns is of CLOCK_MONOTONIC")
check(w.hello["pid"] == w.child.pid, "pid")
check(len(w.hello["source_hash"]) == 16, "source_hash")
check(w.hello["runtime"] == {"name": "fake", "version": "absent"}, "a package that is not there")
refused(w.ask("prepare", batch=1, ids=[[1]], gen_tokens=1), "INVALID", "send load first")
refused(w.ask("call", split=True), "INVALID", "send load first")
refused(w.ask("dance"), "UNSUPPORTED", "dance")
refused(w.ask("_load"), "UNSUPPORTED", "_load")
refused(w.raw(b"[1]\n"), "PROTOCOL", "JSON object")
refused(w.raw(b'{"id": 3}\n'), "PROTOCOL", "type")
refused(w.load(dtype=None), "PROTOCOL", "dtype")
refused(w.load(threads=-1), "PROTOCOL", "threads")
refused(w.load(options={"speed": "much"}), "INVALID", "speed")
refused(w.load(options={"fail": "often"}), "INVALID", "often")
refused(w.load(affinity="9999"), "INVALID", "9999")
lost = w.load(options={"fail": "load"})
refused(lost, "NOT_FOUND", "no package fake")
check(lost["hint"] == "install it", "the hint comes along")
refused(w.ask("prepare", batch=1, ids=[[1]], gen_tokens=1), "INVALID", "send load first")

t0 = time.monotonic_ns()
reply = w.load(threads=3)
check(reply["ok"] and t0 <= reply["t0_ns"] <= reply["t1_ns"] <= time.monotonic_ns(), "load stamps")
check([s["name"] for s in reply["stages"]] == ["weights"], "stages")
stage = reply["stages"][0]
check(reply["t0_ns"] <= stage["t0_ns"] <= stage["t1_ns"] <= reply["t1_ns"], "stage within load")
check(reply["facts"] == {"threads": 3, "model": "/m"}, "facts")

refused(w.ask("call", split=True), "INVALID", "send prepare first")
refused(w.ask("prepare", batch=2, ids=[[1]], gen_tokens=1), "PROTOCOL", "2 prompts")
refused(w.ask("prepare", batch=2, ids=[[1], [1, 2]], gen_tokens=1), "PROTOCOL", "same length")
refused(w.ask("prepare", batch=1, ids=[[]], gen_tokens=1), "PROTOCOL", "length")
refused(w.ask("prepare", batch=1, ids=[[50257]], gen_tokens=1), "RANGE", "50257")
refused(w.ask("prepare", batch=1, ids=[[-1]], gen_tokens=1), "RANGE", "-1")
refused(w.ask("prepare", batch=1, ids=[[1.5]], gen_tokens=1), "PROTOCOL", "integers")
refused(w.ask("prepare", batch=1, ids=[[1] * 60], gen_tokens=5), "RANGE", "64 positions")
refused(w.ask("call", split=True), "INVALID", "send prepare first")
deep = w.ask("prepare", batch=2, ids=[[1], [2]], gen_tokens=4, depth_tok=40)
# The native worker's fill, worked out by hand: (i + 1 + b·7919)·2654435761 mod 2^32 mod vocabulary.
wanted = [((i + 1 + 7919) * 2654435761 & 0xFFFFFFFF) % 50257 for i in range(3)]
check(deep["pieces"] == [40] and deep["fill"] == wanted, "the depth is filled as natively")
check(w.ask("prepare", batch=2, ids=[[5, 1], [6, 2]], gen_tokens=3, depth_tok=0)["ok"], "prepare")

sent = time.monotonic_ns()
reply = w.ask("call", split=True)
received = time.monotonic_ns()
times = [sent, reply["t0_ns"], reply["t_first_ns"]] + reply["t_step_ns"] + [received]
check(times == sorted(times) and len(reply["t_step_ns"]) == 3, "stamps rise and lie in between")
check(reply["t_end_ns"] == reply["t_step_ns"][-1], "the end is the last step")
check(reply["n_steps"] == 3 and reply["prompt_tok"] == 2, "steps and prompt")
check(reply["gen_ids"] == [[4, 13, 40, 121], [7, 22, 67, 202]], "what was generated")
for key in ("major_faults", "minor_faults", "ctx_involuntary"):
    check(isinstance(reply[key], int) and reply[key] >= 0, key)
reply = w.ask("call", split=False)
check(reply["ok"] and "t_first_ns" not in reply and "t_step_ns" not in reply, "an unsplit call")
refused(w.ask("call"), "PROTOCOL", "split")

path = os.path.join(scratch, "logits.f32")
reply = w.ask("logits", ids=[0, 1], path=path)
check((reply["rows"], reply["columns"]) == (2, 4), "size of the logits")
with open(path, "rb") as file:
    check(struct.unpack("8f", file.read()) == (0, 1, 0, 0, 1, 0, 0, 0), "logits")
refused(w.ask("logits", ids=[0], path="/nonexistent/x"), "NOT_FOUND", "cannot write")
refused(w.ask("logits", ids=[], path=path), "PROTOCOL", "at least one")
check(w.ask("call", split=True)["ok"], "what was prepared stays prepared")
reply = w.ask("telemetry")
check(reply["rss_bytes"] > 1 << 20 and reply["minor_faults"] > 0, "telemetry")

check(w.load(options={"fail": "throw"})["ok"], "a second load replaces the first")
refused(w.ask("call", split=True), "INVALID", "send prepare first")
w.ask("prepare", batch=1, ids=[[1]], gen_tokens=2)
refused(w.ask("call", split=True), "INTERNAL", "ValueError: the runtime threw")
w.load(options={"fail": "memory"})
w.ask("prepare", batch=1, ids=[[1]], gen_tokens=2)
refused(w.ask("call", split=True), "NOMEM", "allocate")
w.load(options={"fail": "nan"})
w.ask("prepare", batch=1, ids=[[1]], gen_tokens=2)
refused(w.ask("call", split=True), "NONFINITE", "decode step 1")
check(w.ask("unload")["ok"], "unload")
refused(w.ask("prepare", batch=1, ids=[[1]], gen_tokens=1), "INVALID", "send load first")
check(w.ask("bye")["ok"], "bye")
status, out, err = w.end()
check(status == 0 and out == b"", "it leaves with status 0 and a clean standard output")
check("a library prints this" in err and "without a buffer" in err, "prints go to standard error")
check("ValueError" in err, "what the runtime threw is told in full on standard error")

w = Worker()
check(w.end()[0] == 0, "the end of its input is a sign to leave")
w = Worker()
check(w.raw(b"nonsense\n") is None and w.end()[0] == 1, "no JSON: it leaves with status 1")
w = Worker()
w.child.stdin.write(b'{"id": 1, "type": "bye"')
check(w.end()[0] == 1, "a request cut short: status 1")
done = subprocess.run([sys.executable, "-B", fake, "--help"], stdin=subprocess.DEVNULL,
                      capture_output=True, check=False)
check(done.returncode == 2 and done.stdout == b"", "started by hand it says what it is")
sys.exit(1 if bad else 0)
