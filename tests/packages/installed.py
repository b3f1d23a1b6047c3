# SPDX-License-Identifier: Apache-2.0
"""Install the Debian packages under systemd, use them, and purge them."""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator

from tests.packages import snapshot, source
from tests.systemd import machine, results

PACKAGES = ('systemd', 'systemd-sysv', 'dbus', 'udev', 'ca-certificates')
PACKAGES += ('man-db', 'acl')
SUGGESTED = ('python3-prometheus-client',)
OURS = ('hvfilter-agent', 'hvfilter-doc', 'python3-hvfilter')
PLACE = '/srv/packages'
APT = 'apt-get -y -qq -o Dpkg::Use-Pty=0'
OLDEST_NOVA = '2:27~'
NOTHING_CHECKED = 255
NOVA = ('nova-common', 'python3-nova')
CONFIGURATION = '/etc/hvfilter/hvfilter.conf.d/test.conf'
PROM = '/var/lib/prometheus/node-exporter/hvfilter.prom'
PROVIDER = '/etc/nova/provider_config/hvfilter.yaml'
WRITTEN = (PROM, PROVIDER, '/var/lib/hvfilter/history.json')


class Checks(results.Results):
    """What must hold, in one boot of a release."""

    def __init__(
        self, inside: machine.Machine, root: pathlib.Path, release: str
    ) -> None:
        super().__init__(release)
        self._inside = inside
        self._root = root

    def steps(self) -> Iterator[Callable[[], None]]:
        """In this order: each needs those before it."""
        yield self.install
        yield self.own_tests
        yield self.units
        yield self.man
        yield self.write
        yield self.again
        yield self.remove
        yield self.purge
        yield self.nova

    def bring(self, packages: list[pathlib.Path]) -> None:
        """Remove what an earlier run left; copy packages; install needs."""
        place = self._root / PLACE.lstrip('/')
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for path in packages:
            shutil.copy(path, place)
        shutil.copytree(
            source.ROOT / 'packaging/debian/tests', place / 'tests'
        )
        self.shell(
            # An earlier run may have been interrupted.
            'dpkg --configure -a',
            f'{APT} update',
            f'{APT} purge {" ".join((*OURS, *NOVA))} || true',
            f'{APT} autoremove --purge',
        )
        told = self.shell(f'{APT} -s {self._install()}').stdout
        names = re.findall(r'^Inst (\S+)', told, re.MULTILINE)
        needs = [name for name in names if name not in OURS]
        self.check('nothing of Nova is needed', not _of_nova(needs), needs)
        folders = ' '.join(map(_folder, (PROM, PROVIDER)))
        wanted = ' '.join((*needs, *SUGGESTED))
        self.shell(
            f'{APT} install --no-install-recommends {wanted}',
            # What Nova's packages leave of /etc/nova only its group enters.
            f'rm -rf /etc/nova {folders}',
            f'mkdir -p {folders}',
        )
        self._before = snapshot.take(self._root)

    def _install(self) -> str:
        files = ' '.join(f'{PLACE}/{name}_*.deb' for name in OURS)
        return f'install --no-install-recommends {files}'

    def install(self) -> None:
        run = self.shell(f'{APT} {self._install()}')
        self.check('the packages install', not run.returncode, run)

    def own_tests(self) -> None:
        """debian/tests, as autopkgtest would run it."""
        self._own_test('agent')
        run = self.shell('hvfilter-status upgrade check')
        self.check(
            'hvfilter-status reports that Nova is missing',
            run.returncode == NOTHING_CHECKED and "'nova'" in run.stderr,
            run,
        )

    def _own_test(self, name: str) -> None:
        run = self.shell(
            'export AUTOPKGTEST_TMP=$(mktemp -d)', f'{PLACE}/tests/{name}'
        )
        self.check(f'debian/tests/{name} passes', not run.returncode, run)
        if name == 'agent':
            print(run.stdout[:700])

    def units(self) -> None:
        for unit, enabled, active in (
            ('hvfilter-publish.timer', 'enabled', 'active'),
            ('hvfilter-publish.service', 'static', ''),
            ('hvfilter-changed.timer', 'static', 'inactive'),
            ('hvfilter-provider-config.service', 'disabled', 'inactive'),
        ):
            seen = self.shell(f'systemctl is-enabled {unit} || true').stdout
            self.check(f'{unit} is {enabled}', seen.strip() == enabled, seen)
            seen = self.shell(f'systemctl is-active {unit} || true').stdout
            right = not active or seen.strip() == active
            self.check(f'{unit} is {active or "as it is"}', right, seen)
        run = self._inside.run('id', '-nG', 'hvfilter')
        self.check('its user is in kvm', 'kvm' in run.stdout.split(), run)

    def man(self) -> None:
        for name in ('hvfilter', 'hvfilter-status'):
            run = self.shell(f'man --warnings {name}')
            self.check(
                f'the man page {name}(1) is shown',
                not run.returncode and 'EXIT STATUS' in run.stdout.upper(),
                run,
            )

    def write(self) -> None:
        """Let the service write all that it can without a cloud."""
        self._inside.write(
            CONFIGURATION,
            '[hvfilter]\npublishers = provider-config,textfile\n',
        )
        self.shell('systemd-tmpfiles --create')
        self.shell(
            'systemctl stop hvfilter-publish.service',
            'systemctl start hvfilter-publish.service || true',
        )
        for name in WRITTEN:
            there = not self._inside.run('test', '-s', name).returncode
            self.check(f'the service writes {name}', there, self.journal())

    def journal(self) -> str:
        return self.shell('journalctl -u hvfilter-publish.service').stdout

    def again(self) -> None:
        run = self.shell(f'{APT} --reinstall {self._install()}')
        self.check('the packages install over themselves', _fine(run), run)
        self._timer('after that', 'active')

    def _timer(self, when: str, wanted: str) -> None:
        seen = self.shell(
            'systemctl is-active hvfilter-publish.timer || true'
        ).stdout.strip()
        self.check(f'the timer is {wanted} {when}', seen == wanted, seen)

    def remove(self) -> None:
        run = self.shell(
            'systemctl start hvfilter-changed.timer',
            f'{APT} remove hvfilter-agent',
        )
        self.check('the agent is removed', _fine(run), run)
        units = self.shell(
            'systemctl list-units --no-legend "hvfilter*" || true'
        ).stdout
        self.check('no unit of it is left running', not units.strip(), units)
        kept = not self._inside.run('test', '-e', CONFIGURATION).returncode
        self.check('its configuration is kept', kept)

    def purge(self) -> None:
        run = self.shell(
            f'rm {CONFIGURATION}', f'{APT} purge {" ".join(OURS)}'
        )
        self.check('the packages are purged', _fine(run), run)
        after = snapshot.take(self._root)
        changed = {
            name: (self._before.get(name), after.get(name))
            for name in sorted(set(self._before) | set(after))
            if self._before.get(name) != after.get(name)
        }
        self.check('each file is as it was before', not changed, changed)
        left = snapshot.named(self._root)
        self.check('no file of hvfilter is left', not left, left)
        run = self.shell('getent passwd hvfilter || getent group hvfilter')
        self.check('no user or group is left', run.returncode, run)

    def nova(self) -> None:
        """Nova comes after the agent; and its scheduler finds the filter."""
        run = self.shell(f'{APT} {self._install()}')
        self.check('the packages install once more', _fine(run), run)
        run = self.shell(
            f'{APT} install --no-install-recommends {" ".join(NOVA)}'
        )
        self.check('Nova installs after the agent', _fine(run), run)
        groups = self._inside.run('id', '-nG', 'hvfilter').stdout.split()
        self.check('the user joins the group nova then', 'nova' in groups)
        version = self.shell("dpkg-query -Wf '${Version}' python3-nova").stdout
        if self._inside.run(
            'dpkg', '--compare-versions', version, 'ge', OLDEST_NOVA
        ).returncode:
            print(f'     not tried: the filter on Nova {version}')
        else:
            self._own_test('filter')
        self.shell(
            f'{APT} purge {" ".join((*OURS, *NOVA))}',
            f'{APT} autoremove --purge',
        )

    def shell(self, *lines: str) -> subprocess.CompletedProcess[str]:
        """Lines of shell inside, with debconf silent."""
        return self._inside.shell(
            'export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8', *lines
        )


def _folder(path: str) -> str:
    return str(pathlib.PurePath(path).parent)


def _fine(run: subprocess.CompletedProcess[str]) -> bool:
    return not run.returncode


def _of_nova(names: list[str]) -> list[str]:
    return [name for name in names if re.search(r'\bnova\b', name)]
