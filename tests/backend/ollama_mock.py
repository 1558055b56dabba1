#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""An Ollama that computes nothing. It answers the calls the adapter makes, in the words of recorded
answers of a real one (data/ollama/*.jsonl), and keeps time: each token leaves at a moment fixed when
the request arrived. Prints its port on the first line of stdout; ends when stdin does.

    ollama_mock.py RECORDING [OPTION=VALUE]...

A prompt may hold "[option=value]" words that override options for that request."""
import http.server
import json
import os
import re
import sys
import threading
import time

OPTIONS = {
    "ttft_ms": 3.0, "itl_ms": 0.5, "load_ms": 20.0,
    "context": 0,      # context that /api/ps says, 0: as asked
    "vram": 0.0,       # share of the model on the GPU
    "answer": "",      # another model answers
    "stop_after": 0,   # early stop with an end token after so many tokens
    "length_after": 0,  # stops with done_reason length after so many
    "cut_after": -1,   # the connection breaks
    "error_after": -1,  # an error inside the stream
    "no_end": -1,      # a clean end without the last line
    "same": 0,         # 1: every token is the same, and the stream ends without a word
    "status": 0,       # HTTP status of a refusal
    "cached": 0,       # tokens left out of prompt_eval_count
    "truncate": 0,     # the prompt is cut to the context
    "forget": 0,       # 1: the model is unloaded after this answer
    "digest": "",      # another content from now on
    "merge": 1,        # tokens a chunk
    "silent": 0,       # 1: no text at all
    "counts": "N-1",   # steps that eval_duration covers
    "sticky": 0,       # 1: never unloads
    "no_logprobs": 0,
    "end": "",         # JSON put into the last line: "eval_duration":-5
    "hang": 0,         # 1: no answer at all
}
RECORDED = []
LOADED = {}  # name → context
LOG = []
KNOWN = {}
LOCK = threading.Lock()


def recorded(path, **fields):
    for entry in RECORDED:
        if entry["path"] == path and all((entry["body"] or {}).get(k) == v for k, v in fields.items()):
            return json.loads("".join(line for _, line in entry["lines"]))
    raise SystemExit(f"no recorded answer of {path} {fields}")


def own_options(prompt):
    own = dict(OPTIONS)
    for key, value in re.findall(r"\[(\w+)=([^\]]*)\]", prompt or ""):
        own[key] = type(OPTIONS[key])(value)
    return own


def until(t):
    while (left := t - time.monotonic()) > 0:
        time.sleep(left - 0.0003 if left > 0.0005 else 0)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def say(self, value, status=200):
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def chunk(self, value):
        text = (json.dumps(value) + "\n").encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
        self.wfile.flush()

    def do_GET(self):
        with LOCK:
            if self.path == "/api/version":
                self.say({"version": "0.17.4"})
            elif self.path == "/api/ps":
                item = recorded("/api/ps")["models"][0]
                models = []
                for name, context in LOADED.items():
                    item = dict(item, name=name, model=name, context_length=context)
                    item["size_vram"] = int(OPTIONS["vram"] * item["size"])
                    item["digest"] = OPTIONS["digest"] or item["digest"]
                    models.append(item)
                self.say({"models": models})
            elif self.path == "/log":
                self.say(LOG)
            else:
                self.say({"error": "not found"}, 404)

    def do_POST(self):
        start = time.monotonic()
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/api/blobs/"):
            LOG.append([self.path, len(data)])
            self.send_response(201)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = json.loads(data)
        LOG.append([self.path, body])
        if self.path == "/api/show":
            if body["model"] in KNOWN:
                self.say(recorded("/api/show", model=sorted(recorded_models())[0]))
            else:
                self.say({"error": f"model '{body['model']}' not found"}, 404)
        elif self.path == "/api/create":
            KNOWN[body["model"]] = True
            self.say({"status": "success"})
        elif self.path == "/api/generate":
            self.generate(body, start)
        else:
            self.say({"error": "not found"}, 404)

    def generate(self, body, start):
        name, own = body["model"], own_options(body.get("prompt"))
        if name not in KNOWN:
            self.say({"error": f"model '{name}' not found"}, 404)
            return
        end = {"model": name, "created_at": "2026-01-01T00:00:00Z", "response": "", "done": True}
        if not body.get("prompt"):
            if body["keep_alive"] == 0:
                if not own["sticky"]:
                    LOADED.pop(name, None)
                self.say(dict(end, done_reason="unload"))
                return
            until(start + own["load_ms"] / 1e3)
            LOADED[name] = own["context"] or body["options"]["num_ctx"]
            self.say(dict(end, done_reason="load"))
            return
        LOADED.setdefault(name, own["context"] or body["options"]["num_ctx"])
        for entry in RECORDED:
            if entry["path"] == "/api/generate" and body["prompt"] == entry["body"].get("prompt"):
                self.play(entry["lines"], start)
                return
        if own["hang"]:
            time.sleep(3600)
        if own["status"]:
            self.say({"error": "the input length exceeds the context length"}, own["status"])
            return
        self.stream(body, own, start, end)
        if own["forget"]:
            LOADED.pop(name, None)

    def play(self, lines, start):
        """A recorded stream as it was, with its waits: its counters must fit into them."""
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for at_ms, line in lines:
            until(start + at_ms / 1e3)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line.encode()), line.encode()))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def stream(self, body, own, start, end):
        name, asked = own["answer"] or body["model"], body["options"]["num_predict"]
        n = min(asked, own["stop_after"] or asked, own["length_after"] or asked)
        stopped = own["stop_after"] and own["stop_after"] < asked
        n_prompt = len(re.sub(r"\[[^\]]*\]", "", body["prompt"]).split())
        steps = n if own["counts"] == "N" else n - 1
        end = dict(end, model=name, done_reason="stop" if stopped else "length",
                   total_duration=int((own["ttft_ms"] + own["itl_ms"] * (n - 1)) * 1e6),
                   load_duration=500000, prompt_eval_count=n_prompt - own["cached"],
                   prompt_eval_duration=int(own["ttft_ms"] * 0.9e6), eval_count=n,
                   eval_duration=int(own["itl_ms"] * steps * 1e6))
        end.update(json.loads("{" + own["end"] + "}"))
        if own["truncate"]:
            end["prompt_eval_count"] = LOADED[body["model"]] // 2
        if not body["stream"]:
            until(start + (own["ttft_ms"] + own["itl_ms"] * (n - 1)) / 1e3)
            self.say(dict(end, response=" word" * n))
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        held = ""
        for i in range(n - (1 if stopped else 0)):
            until(start + (own["ttft_ms"] + own["itl_ms"] * i) / 1e3)
            if i == own["cut_after"]:
                self.close_connection = True
                self.connection.shutdown(2)
                return
            if i == own["error_after"]:
                self.chunk({"error": "an error was encountered while running the model: boom"})
                self.wfile.write(b"0\r\n\r\n")
                return
            if i == own["no_end"] or (own["same"] and i == 31):
                self.wfile.write(b"0\r\n\r\n")
                return
            held += " same" if own["same"] else f" {'abcdefghij'[i % 10]}"
            if own["silent"] or ((i + 1) % own["merge"] and i + 1 < n):
                continue
            line = {"model": name, "created_at": "2026-01-01T00:00:00Z", "response": held,
                    "done": False}
            if body.get("logprobs") and not own["no_logprobs"]:
                tokens = [" " + t for t in held.split()]
                line["logprobs"] = [
                    {"token": t, "logprob": -0.5, "bytes": list(t.encode()),
                     "top_logprobs": [{"token": t, "logprob": -0.5, "bytes": list(t.encode())},
                                      {"token": " two words", "logprob": -1.5,
                                       "bytes": list(b" two words")}]} for t in tokens]
            self.chunk(line)
            held = ""
        if stopped:
            until(start + (own["ttft_ms"] + own["itl_ms"] * (n - 1)) / 1e3)
        self.chunk(end)
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def log_message(self, *_):
        pass


def recorded_models():
    return {e["body"]["model"] for e in RECORDED if e["path"] == "/api/show" and e["status"] == 200}


def main():
    with open(sys.argv[1], encoding="utf-8") as lines:
        RECORDED.extend(json.loads(line) for line in lines)
    for word in sys.argv[2:]:
        key, value = word.split("=", 1)
        OPTIONS[key] = type(OPTIONS[key])(value)
    KNOWN.update(dict.fromkeys(recorded_models(), True))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
