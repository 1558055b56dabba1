# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of inferlaw in the runtimes they are for.

usage: formats.py llama.cpp LIVE_SERVE FILE.gguf…     each loaded by a server of its own
       formats.py ollama LIVE_SERVE FILE.gguf…        all created in one Ollama
       formats.py onnxruntime FILE.onnx…              under a Python that has onnxruntime

Each must load and give as many tokens as asked for. One line a file; exit status 1 when one fails."""
import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

N_GEN = 4
IDS = [300, 1000, 2000, 3000, 4000]
http = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Server:
    def __init__(self, live_serve, kind, model):
        self.child = subprocess.Popen([live_serve, kind, model, "256", "120"], text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        line = self.child.stdout.readline().split()
        self.url = line[3] if line[:1] == ["ready"] else None

    def ask(self, path, body, timeout=120):
        data = body if not isinstance(body, dict) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        try:
            with http.open(request, timeout=timeout) as reply:
                text = reply.read().decode()
        except urllib.error.HTTPError as e:
            raise ValueError(f"{e.code}: {e.read().decode()[:300]}") from e
        return json.loads(text) if text.startswith("{") else {}

    def end(self):
        self.child.stdin.close()
        if self.child.wait(timeout=60) != 0:
            raise ValueError(f"the server's end: {self.child.returncode}")


def in_llama(live_serve, path):
    server = Server(live_serve, "llama.cpp", path)
    if not server.url:
        raise ValueError("does not load")
    reply = server.ask("/completion", {"prompt": IDS, "n_predict": N_GEN, "temperature": 0,
                                       "ignore_eos": True, "stream": False})
    server.end()
    if reply["tokens_predicted"] != N_GEN or reply["tokens_evaluated"] != len(IDS):
        raise ValueError(f"{reply['tokens_evaluated']} and {reply['tokens_predicted']} tokens")


def in_ollama(server, path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 24):
            digest.update(block)
    blob, name = "sha256:" + digest.hexdigest(), "live"
    with open(path, "rb") as file:
        request = urllib.request.Request(server.url + "/api/blobs/" + blob, file, method="POST")
        request.add_header("Content-Length", str(os.path.getsize(path)))
        http.open(request, timeout=300).read()
    server.ask("/api/create", {"model": name, "files": {os.path.basename(path): blob},
                               "template": "{{ .Prompt }}", "stream": False})
    reply = server.ask("/api/generate", {"model": name, "prompt": " a b c", "raw": True,
                                         "stream": False, "keep_alive": 0,
                                         "options": {"num_predict": N_GEN, "num_ctx": 256,
                                                     "temperature": 0, "num_thread": 1}})
    if reply.get("eval_count") != N_GEN:
        raise ValueError(f"answers {json.dumps(reply)[:300]}")
    http.open(urllib.request.Request(server.url + "/api/delete", json.dumps({"model": name}).encode(),
                                     method="DELETE"), timeout=60).read()


def in_onnxruntime(path):
    import numpy
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    past, ids, length = {}, numpy.array([IDS], dtype=numpy.int64), 0
    for i in session.get_inputs():
        if i.name.startswith("past_key_values"):
            past[i.name] = numpy.zeros((1, i.shape[1], 0, i.shape[3]), dtype=numpy.float32)
    names = [o.name for o in session.get_outputs()]
    for _ in range(N_GEN):
        feed = dict(past, input_ids=ids, past_length=numpy.array([length], dtype=numpy.int64),
                    logits_from=numpy.array([-1], dtype=numpy.int64))
        out = dict(zip(names, session.run(names, feed)))
        length += ids.shape[1]
        if not numpy.isfinite(out["logits"]).all() or out["logits"].argmax() != out["next_ids"][0, -1]:
            raise ValueError("logits are not finite or next_ids is not their best")
        ids = out["next_ids"][:, -1:]
        past = {"past_key_values" + n[len("present"):]: v for n, v in out.items()
                if n.startswith("present")}
        if {v.shape[2] for v in past.values()} != {length}:
            raise ValueError("the cache has another length")


def main():
    what, rest = sys.argv[1], sys.argv[2:]
    failures = 0
    server = Server(rest[0], "ollama", "-") if what == "ollama" else None
    for path in rest[0 if what == "onnxruntime" else 1:]:
        began = time.monotonic()
        try:
            if what == "llama.cpp":
                in_llama(rest[0], path)
            elif what == "ollama":
                in_ollama(server, path)
            else:
                in_onnxruntime(path)
            said = "loads and answers"
        except (OSError, ValueError, KeyError, TypeError) as e:
            said = f"FAILED: {e}"
            failures += 1
        print(f"{what} {os.path.basename(path)}: {said} ({time.monotonic() - began:.1f} s)", flush=True)
    if server:
        server.end()
    return failures > 0


sys.exit(main())
