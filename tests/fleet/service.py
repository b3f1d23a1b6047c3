# SPDX-License-Identifier: Apache-2.0
"""One worker of the real Placement, on a listening socket it is given.

``python -m tests.fleet.service <descriptor> <database url>``
"""

from __future__ import annotations

import socket
import sys
import wsgiref.simple_server

from oslo_config import cfg
from placement import conf as placement_conf
from placement import db_api, deploy


def configuration(url: str) -> cfg.ConfigOpts:
    """Placement's configuration; its database is made known to it."""
    config = cfg.ConfigOpts()
    placement_conf.register_opts(config)
    config.set_override('connection', url, 'placement_database')
    config([], default_config_files=[], default_config_dirs=[])
    config.set_override('auth_strategy', 'noauth2', 'api')
    db_api.configure(config)
    return config


class _Handler(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


def serve(descriptor: int, url: str) -> None:
    """Answer requests until killed."""
    listening = socket.socket(fileno=descriptor)
    address = listening.getsockname()
    server = wsgiref.simple_server.WSGIServer(
        address, _Handler, bind_and_activate=False
    )
    server.socket.close()
    server.socket = listening
    server.server_name, server.server_port = address
    server.setup_environ()
    server.set_app(deploy.loadapp(configuration(url)))
    print('ready', flush=True)
    server.serve_forever()


if __name__ == '__main__':
    serve(int(sys.argv[1]), sys.argv[2])
