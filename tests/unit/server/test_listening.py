"""The socket the server listens on."""

from __future__ import annotations

import socket

from headway.server.main import _listen


def test_accepted_connections_send_at_once() -> None:
    with _listen("127.0.0.1", 0) as listening:
        listening.setblocking(True)
        with socket.create_connection(listening.getsockname()[:2], timeout=5):
            accepted, _ = listening.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
