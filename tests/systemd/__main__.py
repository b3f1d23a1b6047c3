# SPDX-License-Identifier: Apache-2.0
"""Install the agent by the words of its guide, and run it as a service.

``python -m tests.systemd [RELEASE...]``: each Debian release is a root file
system of its own, made once, with its own systemd as process 1. Ubuntu's
packages are not at hand; Ubuntu 24.04 has Debian's folders, and a systemd
between those of Debian 12 and 13.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import shutil
import sys
from collections.abc import Callable, Iterator

from tests.systemd import machine, results

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = ROOT / '.systemd'
GUIDE = ROOT / 'doc' / 'source' / 'publishing.rst'
RELEASES = ('bookworm', 'trixie')
SERVICE = 'hvfilter-publish.service'
PROM = '/var/lib/prometheus/node-exporter/hvfilter.prom'
NEVER = 'hvfilter_publish_success_timestamp_seconds{publisher="placement"} 0.0'
# No udevd runs where /sys is read-only.
NOT_HERE = ('udevadm control',)


def guide() -> list[str]:
    """The commands of the guide, as they stand there."""
    text = GUIDE.read_text()
    part = text[text.index('\nsystemd service\n') :]
    block = re.search(r'::\n\n((?:    .*\n)+)', part)
    assert block is not None
    return [line.strip() for line in block[1].splitlines()]


class Checks(results.Results):
    """What must hold, one line each."""

    def __init__(self, inside: machine.Machine, release: str) -> None:
        super().__init__(release)
        self._inside = inside

    def install(self, wheel: str) -> None:
        """A virtual environment, and what the guide says."""
        run = self._inside.shell(
            'rm -rf /opt/hvfilter /usr/local/bin/hvfilter',
            'rm -f /etc/systemd/system/hvfilter-*',
            'python3 -m venv /opt/hvfilter',
            f'/opt/hvfilter/bin/pip install -q "/srv/{wheel}[textfile]"',
        )
        self.check('the wheel installs without Nova', not run.returncode, run)
        lines = [line for line in guide() if not line.startswith(NOT_HERE)]
        run = self._inside.shell(*lines)
        self.check('the commands of the guide work', not run.returncode, run)

    def user(self) -> None:
        run = self._inside.run('id', '-nG', 'hvfilter')
        groups = run.stdout.split()
        self.check('the user is in the group kvm', 'kvm' in groups, run)
        run = self._inside.run('getent', 'group', 'nova')
        self.check('no group nova is created', run.returncode == 2, run)

    def timer(self) -> None:
        run = self._inside.run(
            'systemctl', 'is-active', 'hvfilter-publish.timer'
        )
        self.check('the timer is active', run.stdout.strip() == 'active', run)

    def publishes(self) -> None:
        """To a textfile: no service is needed for that."""
        self.configure('publishers = textfile')
        run = self.start()
        self.check('the service publishes', not run.returncode, self.journal())
        run = self._inside.run('stat', '-c', '%U %a', PROM)
        self.check(
            'the textfile is written by its user',
            run.stdout.strip() == 'hvfilter 644',
            run,
        )

    def fails_visibly(self) -> None:
        """One publisher fails, another is misspelt: the third still runs."""
        self._inside.run('rm', '-f', PROM)
        self.configure('publishers = placement,plcement,textfile')
        run = self.start()
        self.check('a failure fails the unit', run.returncode, run)
        code = self.show(SERVICE, 'ExecMainStatus')
        self.check('its exit status is 1', code == '1', code)
        run = self._inside.run('cat', PROM)
        self.check('the textfile is written', NEVER in run.stdout, run)
        told = self.journal()
        self.check(
            'the journal names the misspelt one', 'plcement' in told, told
        )

    def reads_nova_conf(self) -> None:
        """Where the group nova exists, nova.conf is readable by it alone."""
        run = self._inside.shell(
            'groupadd --system nova',
            'mkdir -p /etc/nova',
            'printf "[libvirt]\\nvirt_type = lxc\\n" >/etc/nova/nova.conf',
            'chgrp nova /etc/nova/nova.conf',
            'chmod 640 /etc/nova/nova.conf',
            *[line for line in guide() if 'getent group nova' in line],
        )
        self.check('the user joins the group nova', not run.returncode, run)
        self.configure('publishers = textfile')
        self.start()
        run = self._inside.run('grep', 'capability="kvm"', PROM)
        self.check(
            'nova.conf is read: virt_type decides',
            'stage="nova",state="absent"' in run.stdout
            or 'stage="kvm",state="absent"' in run.stdout,
            run,
        )
        run = self._inside.run(
            'hvfilter', 'probe', '--no-smoke', '-f', 'json', user='hvfilter'
        )
        self.check(
            'its user reads it too', 'virt_type = lxc' in run.stdout, run
        )
        self._inside.shell('rm -r /etc/nova', 'groupdel nova')

    def override(self) -> None:
        """Another command, by the drop-in of the guide."""
        example = (ROOT / 'etc/systemd/override.conf.example').read_text()
        folder = f'/etc/systemd/system/{SERVICE}.d'
        self._inside.write(f'{folder}/override.conf', example)
        self._inside.run('systemctl', 'daemon-reload')
        commands = self.show(SERVICE, 'ExecStart').count('argv[]=')
        self.check('an override leaves one command', commands == 1, commands)
        self.configure('publishers = textfile')
        run = self.start()
        self.check('the overridden service runs', not run.returncode, run)
        self._inside.shell(f'rm -r {folder}', 'systemctl daemon-reload')

    def condition(self) -> None:
        """check in ExecCondition=: skipped on no, failed on no answer."""
        ran = '/run/guarded'
        for arguments, expected in (
            ('--forbid vti', 'started'),
            ('--require vti', 'skipped'),
            # No nova.conf is here.
            ('--require tcg', 'failed'),
            ('--require kvm --typo', 'failed'),
            ('--require kvm --snapshot /nonexistent', 'failed'),
        ):
            self._inside.write(
                '/etc/systemd/system/guarded.service',
                '[Service]\nType=oneshot\n'
                f'ExecCondition=hvfilter check --condition {arguments}\n'
                f'ExecStart=touch {ran}\n',
            )
            self._inside.shell(f'rm -f {ran}', 'systemctl daemon-reload')
            run = self._inside.run('systemctl', 'start', 'guarded.service')
            there = not self._inside.run('test', '-e', ran).returncode
            seen = 'started' if there else 'skipped'
            seen = 'failed' if run.returncode else seen
            self.check(
                f'ExecCondition {arguments}: {expected}', seen == expected, run
            )
            self._inside.run('systemctl', 'reset-failed')

    def configure(self, *lines: str) -> None:
        text = '\n'.join(['[hvfilter]', f'textfile = {PROM}', *lines, ''])
        self._inside.write('/etc/hvfilter/hvfilter.conf', text)
        self._inside.shell(
            f'mkdir -p {pathlib.Path(PROM).parent}',
            'systemd-tmpfiles --create',
        )

    def start(self) -> object:
        # The timer may have started it meanwhile, before what was configured.
        self._inside.run('systemctl', 'stop', SERVICE)
        self._inside.run('systemctl', 'reset-failed')
        return self._inside.run('systemctl', 'start', SERVICE)

    def show(self, unit: str, name: str) -> str:
        run = self._inside.run('systemctl', 'show', '-P', name, unit)
        return run.stdout.strip()

    def journal(self) -> str:
        run = self._inside.run('journalctl', '-u', SERVICE, '-o', 'cat')
        return run.stdout

    def steps(self) -> Iterator[Callable[[], None]]:
        yield self.user
        yield self.timer
        yield self.publishes
        yield self.fails_visibly
        yield self.reads_nova_conf
        yield self.override
        yield self.condition


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('releases', nargs='*', metavar='RELEASE')
    chosen = parser.parse_args().releases or RELEASES
    machine.install_tools()
    problem = machine.missing()
    if problem:
        print(f'make systemd cannot run: {problem}')
        return 1
    WORK.mkdir(exist_ok=True)
    wheel = machine.build_wheel(sys.executable, ROOT, WORK)
    wrong = 0
    for release in chosen:
        print(f'== Debian {release}', flush=True)
        folder = WORK / release
        machine.bootstrap(release, folder)
        (folder / 'srv').mkdir(exist_ok=True)
        shutil.copy(WORK / wheel, folder / 'srv')
        with machine.Machine(folder, WORK / f'{release}.log') as inside:
            run = inside.run('systemctl', '--version')
            print(f'     {run.stdout.splitlines()[0]}')
            checks = Checks(inside, release)
            checks.install(wheel)
            for step in checks.steps():
                step()
            wrong += checks.wrong
    print(f'{wrong} wrong')
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
