# SPDX-License-Identifier: GPL-3.0-or-later
"""Drives a Python worker beside the native one on the same checkpoint and compares what they answer.

usage: worker_parity.py NATIVE_WORKER PYTHON SCRIPT CHECKPOINT [key=value…]

keys: model (what the worker loads, default the checkpoint), dtype, device, logits, tolerance (largest
difference of a logit over the largest logit, 1e-5), and options of the load request. One line on
stdout; the exit status is 1 when logits or generated tokens differ, 3 when the worker refuses (its
code and sentence on stdout)."""
import array
import json
import os
import random
import subprocess
import sys
import tempfile

N_PROBE = 40


class Worker:
    def __init__(self, argv, model, dtype, device, logits, options):
        self.child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        batch, prompt = (1, 9) if options.get("launch") == "compile" else (2, 20)
        self.n = 0
        self.child.stdout.readline()
        self.loaded = self.ask("load", model=model, dtype=dtype, device=device, threads=1,
                               affinity=None, isa="auto", logits=logits, huge_pages="default",
                               max_batch=batch, max_prompt_tok=prompt, max_gen_tok=12,
                               options=options)

    def ask(self, kind, **keys):
        self.n += 1
        self.child.stdin.write((json.dumps({"id": self.n, "type": kind, **keys}) + "\n").encode())
        self.child.stdin.flush()
        return json.loads(self.child.stdout.readline())

    def need(self, kind, **keys):
        reply = self.ask(kind, **keys)
        if not reply["ok"]:
            print(f"{kind}: {reply['code']} {reply['what']}")
            sys.exit(1)
        return reply

    def logits(self, ids):
        with tempfile.NamedTemporaryFile() as file:
            self.need("logits", ids=ids, path=file.name)
            rows = array.array("f")
            with open(file.name, "rb") as written:
                rows.frombytes(written.read())
        return rows

    def generate(self, prompts, depth):
        self.need("prepare", batch=len(prompts), ids=prompts, gen_tokens=12, depth_tok=depth)
        split = self.need("call", split=True)
        self.need("call", split=False)
        times = [split["t0_ns"], split["t_first_ns"], *split["t_step_ns"]]
        if times != sorted(times) or len(split["t_step_ns"]) != 12:
            print("stamps step back or are of another number")
            sys.exit(1)
        return split["gen_ids"]

    def end(self):
        self.ask("bye")
        self.child.stdin.close()
        return self.child.wait(timeout=30)


def main():
    native, python, script, checkpoint = sys.argv[1:5]
    given = dict(word.split("=", 1) for word in sys.argv[5:])
    model = given.pop("model", checkpoint)
    dtype, device = given.pop("dtype", "fp32"), given.pop("device", "cpu")
    logits, tolerance = given.pop("logits", "last"), float(given.pop("tolerance", "1e-5"))
    other = Worker([python, "-B", script], model, dtype, device, logits, given)
    if not other.loaded["ok"]:
        print(other.loaded["code"], other.loaded["what"])
        return 3
    own = Worker([native], checkpoint, "fp32", "cpu", "last", {})
    with open(os.path.join(checkpoint, "config.json"), encoding="utf-8") as file:
        vocab = json.load(file)["vocab_size"]
    random.seed(7)
    ids = [random.randrange(vocab) for _ in range(N_PROBE)]
    ours, theirs = own.logits(ids), other.logits(ids)
    bad = len(ours) != len(theirs)
    error = max(abs(a - b) for a, b in zip(ours, theirs)) / max(map(abs, ours))
    bad |= not error <= tolerance
    same = "not compared"
    if given.get("compat") == "tr121":
        prompts = [ids[:9]]
        first = other.generate(prompts, 0)
        # Its decode is fed the last prompt token once more: what the engine says after that prompt.
        own.need("prepare", batch=1, ids=[prompts[0] + prompts[0][-1:]], gen_tokens=1, depth_tok=0)
        want = own.need("call", split=True)["gen_ids"][0][0]
        bad |= first[0][0] != prompts[0][-1] or first[0][1] != want
        same = "last prompt token fed again"
    elif dtype == "fp32":
        cells = (([ids[:9]], 0), ([ids[:5], ids[5:10]], 0), ([ids[:3]], 30))
        # What is compiled is compiled for one shape, which takes long enough.
        for prompts, depth in cells[:1 if given.get("launch") == "compile" else None]:
            if other.generate(prompts, depth) != own.generate(prompts, depth):
                bad = True
                same = f"OTHER TOKENS at batch {len(prompts)}, depth {depth}"
                break
            same = "same tokens"
    print(f"{'differs' if bad else 'agrees'}: largest difference {error:.2e} of the largest logit, "
          f"{same}")
    bad |= other.end() != 0 or own.end() != 0
    return 1 if bad else 0


sys.exit(main())
