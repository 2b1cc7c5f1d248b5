"""Serves the page: cheroot with threads, on loopback unless TLS is given."""

from __future__ import annotations

import ipaddress
import signal
import threading
from pathlib import Path
from types import FrameType

from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server
from flask import Flask

from .errors import GatewayError

THREADS = 8


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def server_for(app: Flask, host: str, port: int, certificate: Path | None, key: Path | None) -> Server:
    """A server that is ready to start. Raises GatewayError for an open address without TLS."""
    if (certificate is None) != (key is None):
        raise GatewayError("TLS needs both --certificate and --key")
    if certificate is None and not is_loopback(host):
        raise GatewayError(
            f"{host} is open to other machines: give --certificate and --key, or listen on 127.0.0.1 behind the clinic's proxy"
        )
    server = Server((host, port), app, numthreads=THREADS, server_name="thermograph", timeout=30, request_queue_size=64)
    server.max_request_header_size = 32 * 1024
    server.max_request_body_size = 128 * 1024
    if certificate is not None:
        for path in (certificate, key):
            if path is None or not path.is_file():
                raise GatewayError(f"{path} is missing: expected a PEM file")
        server.ssl_adapter = BuiltinSSLAdapter(str(certificate), str(key))
    return server


def run(server: Server, ready: threading.Event | None = None) -> None:
    """Serves until SIGTERM or SIGINT."""

    def stop(number: int, frame: FrameType | None) -> None:
        threading.Thread(target=server.stop, daemon=True).start()

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
    try:
        server.prepare()
    except OSError as error:
        raise GatewayError(f"cannot listen on {server.bind_addr}: {error}") from error
    if ready is not None:
        ready.set()
    server.serve()
