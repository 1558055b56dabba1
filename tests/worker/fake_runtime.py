# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker for tests on workers/python/inferlaw_worker.py: a model that is arithmetic. The token
after t is 3·t + 1 modulo the vocabulary, a pass takes no time to speak of. Options make it fail."""
import os
import sys

sys.path.insert(0, os.path.join(os.environ["IL_SOURCE_DIR"], "workers", "python"))
import inferlaw_worker as iw  # noqa: E402

import array  # noqa: E402

VOCAB = 50257


class Fake(iw.Runtime):
    worker = "fake"
    packages = ("fake",)

    def load(self, request, stages):
        options = dict(request.get("options") or {})
        self.fail = iw.pick(options, "fail", ("none", "load", "throw", "nan", "memory"), "none")
        for key in ("launch", "compile_mode", "attention", "kv_cache", "compat"):
            options.pop(key, None)
        iw.refuse_rest(options, "fake")
        print("a library prints this where messages used to go")
        os.write(1, b"and this, without a buffer\n")
        with stages("weights"):
            if self.fail == "load":
                raise iw.Failure("NOT_FOUND", "no package fake", hint="install it")
        return {"threads": iw.set_threads(request["threads"]), "model": request["model"]}

    def prepare(self, job):
        job.check(VOCAB, 64)
        self.job = job
        return {"pieces": [len(piece[0]) for piece in job.fill_pieces(VOCAB)],
                "fill": next(job.fill_pieces(VOCAB), [[]])[-1][:3]}

    def call(self, split):
        if self.fail == "throw":
            raise ValueError("the runtime\n  threw")
        if self.fail == "memory":
            raise MemoryError("DefaultCPUAllocator: can't allocate memory")
        t0_ns = iw.now_ns()
        tokens = [prompt[-1] for prompt in self.job.ids]
        self.out = [[] for _ in tokens]
        stamps = []
        for step in range(self.job.gen_tokens + 1):
            tokens = [(3 * t + 1) % VOCAB for t in tokens]
            for row, token in zip(self.out, tokens):
                row.append(token)
            stamps.append(iw.now_ns())
        if not split:
            return {"t0_ns": t0_ns, "t_end_ns": iw.now_ns()}
        return {"t0_ns": t0_ns, "t_first_ns": stamps[0], "t_step_ns": stamps[1:],
                "t_end_ns": stamps[-1]}

    def after_call(self, reply):
        if self.fail == "nan":
            raise iw.Failure("NONFINITE", "a logit of decode step 1 of sequence 0 is not finite")
        reply["gen_ids"] = self.out

    def logits(self, ids, path):
        iw.check_ids(ids, VOCAB)
        rows = array.array("f")
        for token in ids:
            row = array.array("f", [0.0]) * 4
            row[(3 * token + 1) % 4] = 1.0
            rows.extend(row)
        iw.write_rows(path, rows.tobytes())
        return len(ids), 4


iw.serve(Fake())
