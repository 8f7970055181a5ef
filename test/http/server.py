# SPDX-License-Identifier: Apache-2.0
"""A server for http_test.py that answers as it is told, well or badly, and remembers what was asked.

Server(answer, tls=None, port=0): `answer(n, request)` is called for the n-th request (0, 1, …) and gives what is sent: an Answer, or a function of
the raw socket file for what no honest server sends.
"""
import socket
import socketserver
import ssl
import threading


class Answer:
    def __init__(self, body=b"", status=200, headers=None, length=None):
        self.body, self.status, self.headers, self.length = body, status, headers or {}, length

    def send(self, out):
        headers = {"Content-Length": str(len(self.body) if self.length is None else self.length), "Connection": "close", **self.headers}
        lines = [f"HTTP/1.1 {self.status} X"] + [f"{k}: {v}" for k, v in headers.items() if v is not None]
        out.write(("\r\n".join(lines) + "\r\n\r\n").encode() + self.body)
        out.flush()


class Request:
    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body


class Server:
    def __init__(self, answer, tls=None, port=0):
        self.answer, self.requests, self.lock, self.closing = answer, [], threading.Lock(), threading.Event()
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                try:
                    outer.serve(self.rfile, self.wfile)
                except (OSError, ssl.SSLError, ValueError):
                    pass  # the client has gone

        class Threads(socketserver.ThreadingMixIn, socketserver.TCPServer):
            daemon_threads = True
            allow_reuse_address = True

            def get_request(self):
                connection, address = self.socket.accept()
                connection.settimeout(60)
                return (tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) if tls else connection), address

            def handle_error(self, request, client_address):
                pass

        self.server = Threads(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()
        self.url = f"{'https' if tls else 'http'}://localhost:{self.port}"

    def serve(self, rfile, wfile):
        first = rfile.readline(65536).decode("latin-1").split()
        if len(first) < 3:
            return
        headers = {}
        while (line := rfile.readline(65536).decode("latin-1").strip()):
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = rfile.read(int(headers.get("content-length", "0")))
        request = Request(first[0], first[1], headers, body)
        with self.lock:
            n = len(self.requests)
            self.requests.append(request)
        what = self.answer(n, request)
        if isinstance(what, Answer):
            what.send(wfile)
        else:
            what(wfile)

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
