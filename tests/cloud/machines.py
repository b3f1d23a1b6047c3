# SPDX-License-Identifier: Apache-2.0
"""The machines that the compute hosts are, each of them a set of namespaces.

What a host has of its own is what the installation guide speaks of: its name,
``/etc``, ``/opt/hvfilter``, ``/var/lib``, ``/var/log`` and ``/run``. So
commands and paths of the guide apply literally, on several hosts at once.
Kernel, processor, ``/dev/kvm`` and network are this machine's.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import uuid
from collections.abc import Mapping

from tests.cloud import processes
from tests.cloud.hosts import HOSTS, Host
from tests.cloud.layout import Layout

AGENT = pathlib.Path('/opt/hvfilter')
"""Where the guide installs the agent."""

NOVA_CONF = pathlib.Path('/etc/nova/nova.conf')
OVERLAID = ('/etc', '/opt', '/var/cache', '/var/lib', '/var/log')

_KEEP = """
set -e
name=$1 folder=$2 agent=$3
shift 3
hostname "$name"
for each in "$@"; do
    mkdir -p "$folder$each/upper" "$folder$each/work" "$each"
    mount -t overlay overlay "$each" -o \\
        "lowerdir=$each,upperdir=$folder$each/upper,workdir=$folder$each/work"
done
mount -t tmpfs tmpfs /run
mkdir -p /opt/hvfilter /etc/nova /var/lib/nova/instances /var/log/nova
mount --bind "$agent" /opt/hvfilter
echo "$name" >/etc/hostname
echo "127.0.0.1 localhost $name" >/etc/hosts
touch /run/there
exec sleep infinity
"""
_LIBVIRTD_CONF = """
auth_unix_ro = "none"
auth_unix_rw = "none"
host_uuid = "{uuid}"
"""
# No AppArmor, virtlogd, cgroups or namespaces: nothing of systemd is here.
_QEMU_CONF = """
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
"""


class Machine:
    """One compute host."""

    def __init__(
        self, host: Host, layout: Layout, running: processes.Processes
    ) -> None:
        """Nothing starts yet.

        :param running: gets the process that keeps the namespaces
        """
        self.host = host
        self._folder = layout.folder_of('hosts') / host.name
        self._agent = layout.folder_of('agent')
        self._running = running
        self._pid = 0

    def start(self) -> None:
        """Make it, with the configuration of its libvirt."""
        self._folder.mkdir(parents=True)
        keeper = self._running.start(
            f'host-{self.host.name}',
            [
                *('unshare', '--mount', '--uts', '--propagation', 'private'),
                *('sh', '-c', _KEEP, 'keep', self.host.name),
                *(str(self._folder), str(self._agent), *OVERLAID),
            ],
        )
        self._pid = keeper.pid
        keeper.wait_until(
            self.path('/run/there').exists,
            f'the namespaces of {self.host.name} are made',
        )
        if self.host.virt_type:
            self._configure_libvirt()

    def _configure_libvirt(self) -> None:
        folder = self.path('/etc/libvirt')
        own = uuid.uuid5(uuid.NAMESPACE_DNS, self.host.name)
        (folder / 'libvirtd.conf').write_text(_LIBVIRTD_CONF.format(uuid=own))
        (folder / 'qemu.conf').write_text(_QEMU_CONF)
        # Debian's network "default" would appear on this machine.
        shutil.rmtree(folder / 'qemu' / 'networks', ignore_errors=True)

    def path(self, inside: str | pathlib.Path) -> pathlib.Path:
        """A file of the host, as this process reaches it."""
        return pathlib.Path(f'/proc/{self._pid}/root{inside}')

    def command(self, *command: str) -> list[str]:
        """A command line that runs on the host, in the same process."""
        of = f'/proc/{self._pid}/ns'
        return [
            *('nsenter', f'--mount={of}/mnt', f'--uts={of}/uts'),
            *('env', '--chdir=/', *command),
        ]

    def run(
        self, *command: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the host; both streams of output are one."""
        return subprocess.run(
            self.command(*command),
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def end_guests(self) -> None:
        """End what QEMU runs: it outlives libvirtd."""
        if self._pid:
            end_guests(self._pid)


def end_guests(keeper: int) -> None:
    """End what QEMU runs in the namespaces that a process keeps."""
    folder = pathlib.Path(f'/proc/{keeper}/root/run/libvirt/qemu')
    for file in folder.glob('*.pid'):
        pid = int(file.read_text())
        line = pathlib.Path(f'/proc/{pid}/cmdline')
        if line.exists() and b'qemu-system' in line.read_bytes():
            os.kill(pid, signal.SIGKILL)


def end_leftovers() -> None:
    """End what a run that was killed left behind."""
    for pid in processes.leftovers():
        if pathlib.Path(f'/proc/{pid}/ns/mnt').readlink() != (
            pathlib.Path('/proc/self/ns/mnt').readlink()
        ):
            end_guests(pid)
    processes.end_leftovers()


class Machines:
    """All of them; leaving it ends them, and the guests on them first."""

    def __init__(self, layout: Layout) -> None:
        self._running = processes.Processes(layout.logs)
        self.by_name = {
            host.name: Machine(host, layout, self._running) for host in HOSTS
        }

    def __enter__(self) -> Machines:
        return self

    def __exit__(self, *exc: object) -> None:
        for each in self.by_name.values():
            each.end_guests()
        self._running.end()

    def start(self) -> None:
        """Make them all."""
        for each in self.by_name.values():
            each.start()
