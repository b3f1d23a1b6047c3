# SPDX-License-Identifier: Apache-2.0
"""Install the agent by the words of its guide, and run it as a service.

``python -m tests.systemd [RELEASE...]``: each Debian release is a root file
system of its own, made once, with its own systemd as process 1. Ubuntu's
packages are not at hand; Ubuntu 24.04 has Debian's folders, and a systemd
between those of Debian 12 and 13.
"""

from __future__ import annotations

import argparse
import json
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
STATE = '/var/lib/hvfilter'
NOVA_CONF = '/etc/nova/nova.conf'
PYTHON = '/opt/hvfilter/bin/python'
FIND_FORMAT = '%y %u %g %m\\n'
MODES = {'d hvfilter hvfilter 750', 'f hvfilter hvfilter 640'}
# Ten thousand changes or more, and as many as the limit takes.
FILL = """
import dataclasses, os, pathlib, sys
from hvfilter.publish import state_directory
from hvfilter.report import history
directory = state_directory.StateDirectory(pathlib.Path(sys.argv[1]))
os.seteuid(directory.owner())
whole = history.loads(directory.read())
limit = state_directory.TEXT_LIMIT
whole = dataclasses.replace(whole, entries=whole.entries * 10_000)
while True:
    whole, text = history.fitted(whole, limit)
    more = dataclasses.replace(
        whole, entries=(whole.entries[0], *whole.entries)
    )
    if len(history.form.dumps(history.to_document(more))) > limit:
        break
    whole = more
directory.write_text(text.encode())
"""
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
            f'rm -rf {STATE}',
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

    def remembers(self) -> None:
        """What changed, in the service's state directory."""
        self.configure('publishers = textfile')
        self.start()
        before = self.remembered()
        # A new file of nova-compute is a change that a test can make.
        self._inside.write(NOVA_CONF, '[libvirt]\nvirt_type = qemu\n')
        self.start()
        run = self._inside.run('hvfilter', 'history', '-f', 'json')
        after = self.remembered()
        self.check('a change is one line of history', after == before + 1, run)
        self.start()
        again = self.remembered()
        self.check('no change is none', again == after, run)
        run = self._inside.run('hvfilter', 'history', '--limit', '1')
        cause = f'{NOVA_CONF} missing -> there'
        self.check('root reads it, with its cause', cause in run.stdout, run)
        run = self._inside.run('find', STATE, '-printf', FIND_FORMAT)
        seen = set(run.stdout.splitlines())
        self.check('its user owns all, its group reads it', seen == MODES, run)
        self.unprivileged()
        self.bounded()
        self.run_by_root()
        self._inside.shell(f'rm -r {pathlib.Path(NOVA_CONF).parent}')

    def remembered(self) -> int:
        """How many changes there are."""
        run = self._inside.run('hvfilter', 'history', '-f', 'json')
        return len(json.loads(run.stdout)['changes'])

    def unprivileged(self) -> None:
        run = self._inside.run('hvfilter', 'history', user='nobody')
        clear = run.stderr.strip().splitlines()
        self.check(
            'another user gets one line with what to do',
            run.returncode == 2
            and len(clear) == 1
            and 'Permission denied' in clear[0]
            and f'the group of {STATE}' in clear[0],
            run,
        )
        self._inside.shell('useradd --groups hvfilter oncall')
        run = self._inside.run('hvfilter', 'history', user='oncall')
        self.check('a member of the group reads it', not run.returncode, run)
        self._inside.shell('userdel oncall')

    def bounded(self) -> None:
        """A history at its limit, which a change makes room in."""
        run = self._inside.run(PYTHON, '-c', FILL, STATE)
        self.check('a full history is made', not run.returncode, run)
        before = self.remembered()
        self._inside.write(NOVA_CONF, '[libvirt]\nvirt_type = kvm\n')
        self.start()
        run = self._inside.run('du', '-bs', '--apparent-size', STATE)
        size = int(run.stdout.split()[0])
        self.check('it stays under 1 MiB', size < 1 << 20, run)
        after = self.remembered()
        self.check('the oldest made room', 0 < after < before, after)
        run = self._inside.run('hvfilter', 'history', '--limit', '1')
        self.check('that is shown', 'Removed to make room' in run.stderr, run)
        told = self.journal()
        self.check('and in the journal', 'is limited to 256 KiB' in told, told)

    def run_by_root(self) -> None:
        """Publishes, and leaves the history to the service."""
        self._inside.write(NOVA_CONF, '[libvirt]\nvirt_type = qemu\n')
        before = self.remembered()
        run = self._inside.run('hvfilter', 'publish')
        self.check(
            'a run by root publishes and names the owner',
            not run.returncode and 'by its owner hvfilter' in run.stderr,
            run,
        )
        unchanged = self.remembered() == before
        self.check('it leaves the history as it is', unchanged, run)
        run = self.start()
        after = self.remembered()
        self.check('the service finds the change', after == before + 1, run)

    def another_boot(self, inside: machine.Machine) -> None:
        """What outlives a boot."""
        self._inside = inside
        run = self._inside.run('hvfilter', 'history', '-f', 'json')
        self.check('the history survives a boot', self.remembered(), run)

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
        yield self.remembers
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
        with machine.Machine(folder, WORK / f'{release}.log') as inside:
            checks.another_boot(inside)
        wrong += checks.wrong
    print(f'{wrong} wrong')
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
