# SPDX-License-Identifier: Apache-2.0
"""Where everything of the cloud lies: folders, ports, addresses, secrets."""

from __future__ import annotations

import dataclasses
import pathlib
import secrets
import shutil
import socket
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / '.cloud'
ADDRESS = '127.0.0.1'
REGION = 'RegionOne'
SERVICES = ('keystone', 'placement', 'glance', 'nova-api', 'neutron')
_PORTS = (*SERVICES, 'mariadb', 'rabbitmq', 'rabbitmq-dist', 'epmd')


@dataclasses.dataclass(frozen=True)
class Layout:
    """The places of one cloud.

    :ivar ports: by service
    :ivar secret: the password of everybody
    """

    folder: pathlib.Path
    ports: dict[str, int]
    secret: str

    def folder_of(self, name: str) -> pathlib.Path:
        """A folder of its own for a service; there when asked for."""
        path = self.folder / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def url(self, service: str, path: str = '') -> str:
        """Where a service is heard over HTTP."""
        return f'http://{ADDRESS}:{self.ports[service]}{path}'

    def database(self, name: str) -> str:
        """For SQLAlchemy."""
        port = self.ports['mariadb']
        return (
            f'mysql+pymysql://cloud:{self.secret}@{ADDRESS}:{port}/{name}'
            '?charset=utf8'
        )

    @property
    def broker(self) -> str:
        """For oslo.messaging."""
        return f'rabbit://guest:guest@{ADDRESS}:{self.ports["rabbitmq"]}/'

    @property
    def logs(self) -> pathlib.Path:
        return self.folder_of('log')

    @property
    def transcript(self) -> pathlib.Path:
        """All that was shown."""
        return self.folder / 'transcript.txt'

    @property
    def clouds_yaml(self) -> pathlib.Path:
        return self.folder / 'clouds.yaml'

    def nova_conf(self, service: str) -> pathlib.Path:
        """The nova.conf of nova-api, nova-scheduler, or of one compute."""
        return self.folder_of('etc') / service / 'nova.conf'


def fresh(
    ports: dict[str, int] | None = None, secret: str | None = None
) -> Layout:
    """An empty folder, and ports that nobody listens on.

    :param ports: take these
    """
    if FOLDER.exists():
        shutil.rmtree(FOLDER)
    FOLDER.mkdir()
    return Layout(
        FOLDER, ports or _free_ports(), secret or secrets.token_hex(16)
    )


def free(ports: dict[str, int]) -> bool:
    """Whether all services are among them, and nobody listens there."""
    if set(ports) != set(_PORTS):
        return False
    try:
        for port in ports.values():
            with socket.socket() as each:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                each.bind((ADDRESS, port))
    except OSError:
        return False
    return True


def program(name: str) -> str:
    """A program of the environment that this runs in."""
    return str(pathlib.Path(sys.prefix) / 'bin' / name)


def _free_ports() -> dict[str, int]:
    # All are held until the last is found, so that no two are one.
    held = []
    for _ in _PORTS:
        each = socket.socket()
        each.bind((ADDRESS, 0))
        held.append(each)
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return dict(zip(_PORTS, ports, strict=True))
