#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Between a client and a real Ollama, writing down what passes: the recordings under
tests/backend/data/ollama were made with it.

    ollama_record.py http://127.0.0.1:11434 FILE [port]

FILE gets a line of JSON for each exchange: method, path, the request's body (blobs left out), status,
and the lines of the answer with their milliseconds since the request."""
import http.server
import json
import sys
import time
import urllib.error
import urllib.request

upstream, out = sys.argv[1], open(sys.argv[2], "w", encoding="utf-8")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def pass_on(self, body):
        request = urllib.request.Request(upstream + self.path, data=body, method=self.command)
        start = time.monotonic()
        try:
            reply = urllib.request.urlopen(request, timeout=600)
        except urllib.error.HTTPError as error:
            reply = error
        lines = [[round((time.monotonic() - start) * 1e3, 3), line.decode()] for line in reply]
        text = "".join(line for _, line in lines).encode()
        self.send_response(reply.status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
        asked = json.loads(body) if body and self.path.count("/") < 3 else None
        out.write(json.dumps({"method": self.command, "path": self.path, "body": asked,
                              "status": reply.status, "lines": lines}) + "\n")
        out.flush()

    def do_GET(self):
        self.pass_on(None)

    def do_POST(self):
        self.pass_on(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    port = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()
