#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""An OpenAI-compatible server that computes nothing and keeps time: each chunk of a stream leaves
at a moment fixed when its request arrived. Prints its port on the first line of stdout; ends when
stdin does. A request's JSON may carry "mock": {option: value} to override the command line.

With --port it listens there and lives until it is ended, as a server that inferlaw starts.

    mock_server.py [--ttft-ms 40] [--itl-ms 20] [--like vllm] [--set OPTION=VALUE]...
"""
import argparse
import json
import os
import socket
import sys
import threading
import time

DEFAULTS = {
    "ttft_ms": 40.0,
    "itl_ms": 20.0,
    "like": "vllm",  # vllm llama.cpp tgi sglang tensorrt-llm other
    "model": "mock",
    "answer_model": "",  # another name in the answers
    "chunk": 1,  # tokens a chunk after the first
    "cached": -1,  # prompt tokens said to come from a cache
    "prefix_cache": 0,  # 1: a prompt seen before counts as cached, and its ttft shrinks tenfold
    "early_stop": 0,  # tokens after which it stops by itself
    "truncate": 0,  # prompt tokens it drops
    "error_after": -1,  # tokens after which an error comes inside the stream
    "cut_after": -1,  # tokens after which the connection breaks
    "no_end": 0,  # a clean end without the last events
    "status": 0,  # HTTP status of a refusal
    "split": 0,  # each event in two packets, split inside a character
    "close": 0,  # no kept connections
    "slow_headers_ms": 0.0,
    "hang": 0,
    "role": 1,  # chat: a chunk with the role alone comes first
    "empty_first": 0,  # the first token has no visible text
    "usage": 1,
    "long_line": 0,  # bytes of one line
    "many_headers": 0,  # bytes of headers
    "logprobs": "",  # file with the answer of llama.cpp's /completion
    "first": 1,  # tokens in the first chunk
    "plain": 0,  # 200 with a body that is no stream
    "die_after": 0,  # completions after which the process is gone
    "usage_says": "",  # JSON put into the usage: "completion_tokens":2000000000
    "timings_say": "",  # JSON put into the last timings
}
OPTIONS = dict(DEFAULTS)
SEEN = set()
LOG = []
ANSWERED = []
LOCK = threading.Lock()


def convert(key, text):
    kind = type(DEFAULTS[key])
    return kind(text)


def until(t):
    while True:
        left = t - time.monotonic()
        if left <= 0:
            return
        time.sleep(left - 0.0003 if left > 0.0005 else 0)


class Connection(threading.Thread):
    def __init__(self, sock):
        super().__init__(daemon=True)
        self.sock = sock
        self.file = sock.makefile("rb")

    def run(self):
        try:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while self.one():
                pass
        except (ConnectionError, BrokenPipeError, TimeoutError):
            pass
        finally:
            self.file.close()
            self.sock.close()

    def one(self):
        line = self.file.readline().decode("latin-1").split()
        if len(line) < 3:
            return False
        arrived = time.monotonic()
        method, path = line[0], line[1]
        length, key = 0, ""
        while True:
            header = self.file.readline().decode("latin-1").strip()
            if not header:
                break
            name, _, value = header.partition(":")
            if name.lower() == "content-length":
                length = int(value)
            if name.lower() == "authorization":
                key = value.strip()
        body = json.loads(self.file.read(length)) if length else {}
        o = dict(OPTIONS)
        o.update(body.pop("mock", {}) if isinstance(body, dict) else {})
        return self.answer(method, path, body, o, arrived, key)

    # --- plain answers

    def reply(self, status, value, o, ctype="application/json"):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        server = {"llama.cpp": "llama.cpp"}.get(o["like"], "uvicorn")
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {ctype}\r\nServer: {server}\r\n"
        if o["many_headers"]:
            head += "".join(f"X-{i}: {'y' * 1000}\r\n" for i in range(o["many_headers"] // 1000))
        head += f"Content-Length: {len(data)}\r\n"
        head += "Connection: close\r\n\r\n" if o["close"] else "\r\n"
        self.sock.sendall(head.encode() + data)
        return not o["close"]

    def answer(self, method, path, body, o, arrived, key):
        like = o["like"]
        with LOCK:
            LOG.append({"path": path, "body": body, "key": key})
        if path == "/mock/log":
            with LOCK:
                return self.reply(200, LOG, o)
        if path == "/mock/set":
            OPTIONS.clear()
            OPTIONS.update(DEFAULTS)
            OPTIONS.update(body)
            with LOCK:
                LOG.clear()
                SEEN.clear()
            return self.reply(200, OPTIONS, o)
        if path in ("/v1/completions", "/v1/chat/completions"):
            if o["hang"]:
                time.sleep(3600)
            ANSWERED.append(path)
            if o["die_after"] and len(ANSWERED) > o["die_after"]:
                print("mock: the end", file=sys.stderr, flush=True)
                os._exit(3)
            if o["status"]:
                return self.reply(o["status"], {"error": {"message": "the mock says no"}}, o)
            if o["plain"]:
                return self.reply(200, {"error": {"message": "out of blocks", "code": 500}}, o)
            if not body.get("stream"):
                return self.reply(200, self.whole(path, body, o), o)
            return self.stream(path, body, o, arrived)
        if path == "/completion" and o["logprobs"]:
            with open(o["logprobs"], "rb") as recorded:
                return self.reply(200, recorded.read(), o)
        known = {
            "/v1/models": {
                "data": [{"id": o["model"], "owned_by": {"llama.cpp": "llamacpp"}.get(like, like)}]
            },
            "/health": {"status": "ok"},
        }
        if like == "vllm":
            known["/version"] = {"version": "0.32.0"}
        elif like == "llama.cpp":
            known["/props"] = {
                "build_info": "b11434-mock",
                "model_path": "/m/mock.gguf",
                "default_generation_settings": {"n_ctx": 512},
                "total_slots": 1,
            }
        elif like == "tgi":
            known["/info"] = {"model_id": "mock", "version": "3.0.0", "router": "text-generation"}
        elif like == "sglang":
            known["/get_model_info"] = {"model_path": "mock", "is_generation": True}
        elif like == "tensorrt-llm":
            known["/version"] = {"version": "1.0.0"}
        if path in known:
            return self.reply(200, known[path], o)
        return self.reply(404, {"error": {"message": "not found"}}, o)

    # --- generation

    def prompt(self, path, body):
        if path == "/v1/chat/completions":
            return body["messages"][0]["content"]
        return body["prompt"]

    def counts(self, path, body, o):
        prompt = self.prompt(path, body)
        n_prompt = len(prompt) if isinstance(prompt, list) else len(prompt.split())
        n = body.get("max_tokens", 16)
        if o["early_stop"]:
            n = min(n, o["early_stop"])
        cached = o["cached"]
        key = json.dumps(prompt)
        with LOCK:
            if o["prefix_cache"]:
                cached = n_prompt - 1 if key in SEEN else 0
            SEEN.add(key)
        return n_prompt - o["truncate"], n, cached

    def usage(self, n_prompt, n, cached):
        usage = {"prompt_tokens": n_prompt, "completion_tokens": n, "total_tokens": n_prompt + n}
        if cached >= 0:
            usage["prompt_tokens_details"] = {"cached_tokens": cached}
        return usage

    def whole(self, path, body, o):
        n_prompt, n, cached = self.counts(path, body, o)
        out = {
            "model": o["answer_model"] or body.get("model", o["model"]),
            "choices": [{"index": 0, "text": " a" * n, "finish_reason": "length"}],
            "usage": self.usage(n_prompt, n, cached),
        }
        return out

    def send_event(self, value, o):
        data = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        data = f"data: {data}\n\n".encode()
        frame = f"{len(data):x}\r\n".encode() + data + b"\r\n"
        at = frame.find("é".encode()) + 1 if o["split"] else 0
        if at > 0:
            self.sock.sendall(frame[:at])
            time.sleep(0.001)
            frame = frame[at:]
        self.sock.sendall(frame)

    def chunk(self, path, o, model, text, ids, finish=None, role=False):
        chat = path == "/v1/chat/completions"
        choice = {"index": 0, "finish_reason": finish}
        if chat:
            choice["delta"] = {"role": "assistant", "content": ""} if role else {"content": text}
        else:
            choice["text"] = text
        if ids and o["like"] == "vllm":
            choice["token_ids"] = ids
        return {
            "id": "mock-1",
            "object": "chat.completion.chunk" if chat else "text_completion",
            "model": model,
            "choices": [choice],
        }

    def stream(self, path, body, o, arrived):
        n_prompt, n, cached = self.counts(path, body, o)
        model = o["answer_model"] or body.get("model", o["model"])
        ttft = o["ttft_ms"] * (0.1 if o["prefix_cache"] and cached > 0 else 1)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
        if o["many_headers"]:
            head += b"".join(b"X-Y: " + b"y" * 1000 + b"\r\n" for _ in range(o["many_headers"] // 1000))
        head += b"Connection: close\r\n\r\n" if o["close"] else b"\r\n"
        until(arrived + o["slow_headers_ms"] / 1e3)
        self.sock.sendall(head)
        if path == "/v1/chat/completions" and o["role"]:
            self.send_event(self.chunk(path, o, model, "", [], role=True), o)
        if o["long_line"]:
            self.send_event("x" * o["long_line"], o)
        options = body.get("stream_options", {})
        sent = 0
        while sent < n:
            step = min(o["first"] if sent == 0 else o["chunk"], n - sent)
            at = ttft + o["itl_ms"] * (sent + step - 1)
            until(arrived + at / 1e3)
            sent += step
            if 0 <= o["error_after"] <= sent:
                self.send_event({"error": {"message": "KV cache is full", "code": 500}}, o)
                break
            if 0 <= o["cut_after"] <= sent:
                self.sock.close()
                raise ConnectionError
            text = "" if o["empty_first"] and sent == 1 else " é" * step
            ids = list(range(sent - step, sent)) if body.get("return_token_ids") else []
            event = self.chunk(path, o, model, text, ids)
            if options.get("continuous_usage_stats") and o["usage"] and o["like"] == "vllm":
                event["usage"] = self.usage(n_prompt, sent, -1)
            if o["like"] == "llama.cpp" and body.get("timings_per_token"):
                event["timings"] = {"prompt_n": n_prompt, "predicted_n": sent}
            self.send_event(event, o)
        if o["no_end"]:
            self.sock.sendall(b"0\r\n\r\n")
            return not o["close"]
        finish = "stop" if o["early_stop"] and o["early_stop"] == n else "length"
        last = self.chunk(path, o, model, "", [], finish=finish)
        if o["like"] == "llama.cpp":
            last["timings"] = timings = {
                "cache_n": max(cached, 0),
                "prompt_n": n_prompt - max(cached, 0),
                "prompt_ms": ttft,
                "predicted_n": n,
                "predicted_ms": o["itl_ms"] * (n - 1),
            }
            timings.update(json.loads("{" + o["timings_say"] + "}"))
        self.send_event(last, o)
        if options.get("include_usage") and o["usage"]:
            event = self.chunk(path, o, model, "", [])
            event["choices"] = []
            event["usage"] = self.usage(n_prompt, n, cached)
            event["usage"].update(json.loads("{" + o["usage_says"] + "}"))
            self.send_event(event, o)
        self.send_event("[DONE]", o)
        self.sock.sendall(b"0\r\n\r\n")
        return not o["close"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ttft-ms", type=float)
    parser.add_argument("--itl-ms", type=float)
    parser.add_argument("--like")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args()
    for key in ("ttft_ms", "itl_ms", "like"):
        if getattr(args, key) is not None:
            OPTIONS[key] = getattr(args, key)
    for item in args.set:
        key, _, value = item.partition("=")
        OPTIONS[key] = convert(key, value)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", args.port))
    listener.listen(256)
    print(listener.getsockname()[1], flush=True)

    def accept():
        while True:
            Connection(listener.accept()[0]).start()

    threading.Thread(target=accept, daemon=True).start()
    while args.port or os.read(0, 4096):
        if args.port:
            time.sleep(3600)


if __name__ == "__main__":
    sys.exit(main())
