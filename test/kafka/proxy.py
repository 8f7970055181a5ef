#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy that can be a bad network.

    proxy.py LISTEN_PORT TARGET_PORT        by hand; then type: forward | stall | cut | slice | delay MS | reset

    forward   pass bytes on as they come
    stall     accept and keep connections, move no byte: a peer that is silent, not gone
    cut       close every connection and refuse new ones: nobody listens
    slice     pass on one byte at a time
    delay     hold every piece of data for that long, in order
    reset     close every connection once, then as before

One thread accepts, two a connection pump; what is in flight is bounded by the kernel's buffers and PIECE bytes. The advertised address of the
broker behind it has to be the proxy's, or clients go past it.
"""
import contextlib
import socket
import sys
import threading
import time

PIECE = 65536
TICK_S = 0.02
BIND_S = 30


class Proxy:
    def __init__(self, listen_port, target_port, host="127.0.0.1"):
        self.listen, self.target = (host, listen_port), (host, target_port)
        self.condition = threading.Condition()
        self.mode, self.delay_s = "forward", 0.0
        self.pairs, self.listener = [], None
        self.passed_bytes = self.accepted = 0
        self.open()
        self.accepting = threading.Thread(target=self.accept, daemon=True)
        self.accepting.start()

    def open(self):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        end = time.monotonic() + BIND_S
        while True:
            try:
                s.bind(self.listen)
                break
            except OSError:  # somebody's passing connection may have it as its own end
                if time.monotonic() > end:
                    s.close()
                    raise
                time.sleep(TICK_S)
        s.listen(64)
        s.settimeout(0.1)
        self.listener = s

    def set(self, mode, delay_ms=0):
        """Takes effect at once, also for connections that are open."""
        with self.condition:
            was, self.mode, self.delay_s = self.mode, "forward" if mode == "reset" else mode, delay_ms / 1000
            if mode == "cut" and self.listener:
                # Closing alone would leave it listening until the accepting thread's wait is over.
                self.listener.shutdown(socket.SHUT_RDWR)
                self.listener.close()
                self.listener = None
            if was == "cut" and mode != "cut":
                self.open()
            if mode in ("cut", "reset"):
                self.drop_all()
            self.condition.notify_all()

    def drop_all(self):
        for pair in self.pairs:
            for s in pair:
                with contextlib.suppress(OSError):
                    s.shutdown(socket.SHUT_RDWR)
        self.pairs = []

    def close(self):
        self.set("cut")
        with self.condition:
            self.mode = "closed"
            self.condition.notify_all()
        self.accepting.join()

    def accept(self):
        while self.mode != "closed":
            with self.condition:
                listener = self.listener
            if listener is None:
                time.sleep(TICK_S)
                continue
            try:
                client, _ = listener.accept()
            except (TimeoutError, socket.timeout):
                continue
            except OSError:
                time.sleep(TICK_S)
                continue
            threading.Thread(target=self.connect, args=(client,), daemon=True).start()

    def connect(self, client):
        try:
            server = socket.create_connection(self.target, 5)
        except OSError:
            client.close()
            return
        for s in (client, server):
            s.settimeout(None)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.condition:
            if self.mode in ("cut", "closed"):
                client.close()
                server.close()
                return
            self.pairs.append((client, server))
            self.accepted += 1
        for a, b in ((client, server), (server, client)):
            threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    def pump(self, a, b):
        try:
            while True:
                data = a.recv(PIECE)
                if not data:
                    break
                with self.condition:
                    while self.mode == "stall":
                        self.condition.wait()
                    mode, delay_s = self.mode, self.delay_s
                    self.passed_bytes += len(data)
                if delay_s:
                    time.sleep(delay_s)
                if mode == "slice":
                    for i in range(len(data)):
                        b.sendall(data[i:i + 1])
                else:
                    b.sendall(data)
        except OSError:
            pass
        for s in (a, b):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
        # The second pump of the pair to end finds it gone already.
        with self.condition:
            gone = [p for p in self.pairs if a in p]
            self.pairs = [p for p in self.pairs if a not in p]
        for pair in gone:
            for s in pair:
                with contextlib.suppress(OSError):
                    s.close()


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    proxy = Proxy(int(sys.argv[1]), int(sys.argv[2]))
    for line in sys.stdin:
        words = line.split()
        if words:
            proxy.set(words[0], float(words[1]) if len(words) > 1 else 0)
        print(f"{proxy.mode}: {proxy.accepted} connections, {proxy.passed_bytes} bytes", flush=True)
    proxy.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
