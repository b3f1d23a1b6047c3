# SPDX-License-Identifier: Apache-2.0
"""MariaDB and RabbitMQ of our own, as Debian packages them."""

from __future__ import annotations

import getpass
import pathlib

from tests.cloud import processes
from tests.cloud.layout import ADDRESS, Layout
from tests.lab.debian import QEMU_X86, Program

# Not the packages that start a server for the whole machine, where there is
# a choice.
NEEDED = (
    Program('/usr/sbin/mariadbd', 'mariadb-server-core'),
    Program('/usr/bin/mariadb-install-db', 'mariadb-server-core'),
    # Which that one calls.
    Program('/usr/bin/my_print_defaults', 'mariadb-client-core'),
    Program('/usr/lib/rabbitmq/bin/rabbitmq-server', 'rabbitmq-server'),
    Program('/usr/bin/epmd', 'erlang-base'),
    Program('/usr/sbin/libvirtd', 'libvirt-daemon'),
    Program('/etc/libvirt/qemu.conf', 'libvirt-daemon-system'),
    Program(
        '/usr/lib/*/libvirt/connection-driver/libvirt_driver_qemu.so',
        'libvirt-daemon-driver-qemu',
    ),
    Program('/usr/bin/virsh', 'libvirt-clients'),
    *QEMU_X86,
    Program('/usr/bin/qemu-img', 'qemu-utils'),
    # For the libvirt of Python, which is compiled here.
    Program('/usr/include/libvirt/libvirt.h', 'libvirt-dev'),
    Program('pkg-config', 'pkg-config'),
    Program('cc', 'gcc'),
    # For the hosts.
    Program('unshare', 'util-linux'),
)
DATABASES = (
    'keystone',
    'placement',
    'glance',
    'nova_api',
    'nova_cell0',
    'nova_cell1',
)
_BROKER = 'rabbitmq-server'


def create_database(layout: Layout, running: processes.Processes) -> None:
    """The data of MariaDB, without a table of anybody's."""
    running.run(
        'mariadb-install-db',
        [
            'mariadb-install-db',
            '--no-defaults',
            f'--user={getpass.getuser()}',
            f'--datadir={_data(layout)}',
            '--skip-test-db',
        ],
    )


def start_database(
    layout: Layout, running: processes.Processes
) -> processes.Process:
    """MariaDB, with an empty database for everybody if it is new."""
    folder = layout.folder_of('mariadb')
    first = folder / 'first.sql'
    first.write_text(_statements(layout))
    server = running.start(
        'mariadb',
        [
            '/usr/sbin/mariadbd',
            '--no-defaults',
            f'--user={getpass.getuser()}',
            f'--datadir={_data(layout)}',
            # Relative to the data: the path of a socket may not be long.
            '--socket=socket',
            f'--pid-file={folder / "pid"}',
            f'--bind-address={ADDRESS}',
            f'--port={layout.ports["mariadb"]}',
            f'--init-file={first}',
            '--max-connections=500',
            # Nothing of this has to outlive a power cut.
            '--innodb-flush-log-at-trx-commit=0',
        ],
    )
    _wait(server, layout.ports['mariadb'])
    return server


def _data(layout: Layout) -> pathlib.Path:
    return layout.folder_of('mariadb') / 'data'


def _statements(layout: Layout) -> str:
    lines = [
        f"CREATE USER IF NOT EXISTS cloud@'%' IDENTIFIED BY '{layout.secret}';"
    ]
    for name in DATABASES:
        lines.append(
            f'CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb3;'
        )
        lines.append(f"GRANT ALL ON {name}.* TO cloud@'%';")
    return '\n'.join(lines) + '\n'


def start_names(
    layout: Layout, running: processes.Processes
) -> processes.Process:
    """The name server of Erlang, which RabbitMQ needs."""
    port = layout.ports['epmd']
    epmd = running.start(
        'epmd', ['epmd', '-address', ADDRESS, '-port', str(port)]
    )
    _wait(epmd, port)
    return epmd


def start_broker(
    layout: Layout, running: processes.Processes
) -> processes.Process:
    """RabbitMQ as a single node."""
    folder = layout.folder_of(_BROKER)
    ports = layout.ports
    configuration = folder / 'rabbitmq.conf'
    configuration.write_text(
        f'listeners.tcp.1 = {ADDRESS}:{ports["rabbitmq"]}\n'
        'log.console = true\nlog.file = false\n'
    )
    (folder / 'plugins').write_text('[].\n')
    broker = running.start(
        _BROKER,
        ['/usr/lib/rabbitmq/bin/rabbitmq-server'],
        {
            'ERL_EPMD_PORT': str(ports['epmd']),
            'HOME': str(folder),
            'RABBITMQ_NODENAME': 'hvfilter-cloud@localhost',
            'RABBITMQ_DIST_PORT': str(ports['rabbitmq-dist']),
            'RABBITMQ_CONFIG_FILE': str(configuration),
            'RABBITMQ_CONF_ENV_FILE': '/dev/null',
            'RABBITMQ_ENABLED_PLUGINS_FILE': str(folder / 'plugins'),
            'RABBITMQ_MNESIA_BASE': str(folder / 'data'),
            'RABBITMQ_LOG_BASE': str(folder),
            'RABBITMQ_PID_FILE': str(folder / 'pid'),
            'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS': '+S 1:1 -kernel '
            'inet_dist_use_interface {127,0,0,1}',
        },
    )
    _wait(broker, ports['rabbitmq'])
    return broker


def _wait(server: processes.Process, port: int) -> None:
    server.wait_until(
        lambda: processes.listening(ADDRESS, port),
        f'{server.name} listens on port {port}',
    )
