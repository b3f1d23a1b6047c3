# SPDX-License-Identifier: Apache-2.0
"""A Neutron without anything in it: every collection is empty.

All that Nova asks of it for guests without networks.

``python -m tests.fakes.neutron <port>``
"""

from __future__ import annotations

import http.server
import json
import sys
import urllib.parse


class Empty(http.server.BaseHTTPRequestHandler):
    """Answers every GET."""

    protocol_version = 'HTTP/1.1'

    def do_GET(self) -> None:
        path = urllib.parse.urlsplit(self.path).path
        body = json.dumps({path.rstrip('/').rpartition('/')[2]: []}).encode()
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    address = ('127.0.0.1', int(sys.argv[1]))
    http.server.ThreadingHTTPServer(address, Empty).serve_forever()


if __name__ == '__main__':
    main()
