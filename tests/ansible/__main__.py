# SPDX-License-Identifier: Apache-2.0
"""Install, change and remove hvfilter with the Ansible role.

``python -m tests.ansible``: each host is a Debian of its own with its systemd
as process 1, and Ansible enters it as it enters any host, but through
namespaces instead of ssh. The agents publish to a real Placement. Nova is
installed on the controller and reads the configuration; its services are
stand-ins, whose restarts are counted.
"""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from tests.ansible import hosts
from tests.fleet.__main__ import Cloud
from tests.systemd import machine

COMPUTE = hosts.Host(
    'compute',
    'bookworm',
    ('nova_compute',),
    {
        'hvfilter_agent_config': {
            'hvfilter': {'provider_name': 'n1.example'},
        },
    },
)
CREDENTIALLESS = hosts.Host(
    'credentialless',
    'trixie',
    ('nova_compute',),
    {'hvfilter_use_provider_config': True},
)
CONTROLLER = hosts.Host('controller', 'trixie', ('nova_scheduler', 'nova_api'))
HOSTS = [COMPUTE, CREDENTIALLESS, CONTROLLER]
NOVA_CONF = '/etc/nova/nova.conf'
PROVIDER_YAML = '/etc/nova/provider_config/hvfilter.yaml'
FILTERS = 'ComputeFilter,AggregateInstanceExtraSpecsFilter'
PUBLISHED_S = 60.0

WATCHED = '/etc /opt /srv /usr/lib/systemd /usr/local /var/cache /var/lib'
PACKAGES = (
    r'/(apt|dpkg|python3?|systemd|alternatives|python3[.\d]*)(/|$)|\.pyc$'
)
"""What a package that the role needs, and systemd itself, may leave."""

LOADED = """
import json
from nova import config, filters
from nova.scheduler import filters as nova_filters
config.parse_args(['nova-scheduler', '--config-file', '/etc/nova/nova.conf'])
options = config.CONF.filter_scheduler
classes = nova_filters.HostFilterHandler().get_matching_classes(
    options.available_filters)
print(json.dumps([options.enabled_filters,
                  [each.__name__ for each in classes],
                  options.weight_classes]))
"""


class Checks:
    """What must hold, one line each."""

    def __init__(
        self, machines: dict[str, machine.Machine], cloud: Cloud
    ) -> None:
        self._machines = machines
        self._cloud = cloud
        self.wrong = 0

    def check(self, what: str, right: object, seen: object = '') -> None:
        """Print one result."""
        print(f'{"ok   " if right else "WRONG"} {what}', flush=True)
        if not right:
            self.wrong += 1
            print(f'      {str(seen)[-3000:]}')

    def prepare(self) -> None:
        """Nova's files and services, before hvfilter comes."""
        placement = (
            '[placement]\nauth_type = admin_token\ntoken = admin\n'
            f'endpoint = {self._cloud.url}\n'
        )
        own = f'[filter_scheduler]\nenabled_filters = {FILTERS}\n{placement}'
        for host in HOSTS:
            inside = self._machines[host.name]
            inside.write(NOVA_CONF, own if host.controller else placement)
            inside.shell(
                'groupadd --system nova',
                # /dev is this machine's, whose kvm may have another number.
                'groupmod -o -g "$(stat -c %g /dev/kvm)" kvm',
                f'chgrp nova {NOVA_CONF}',
                f'chmod 640 {NOVA_CONF}',
            )
        for name in ('nova-scheduler', 'nova-api'):
            self._machines['controller'].write(
                f'/etc/systemd/system/{name}.service',
                '[Service]\nExecStart=sleep infinity\n',
            )
        self._machines['controller'].shell(
            'systemctl daemon-reload',
            'systemctl start nova-scheduler nova-api',
        )
        self.before = {name: self.files(name) for name in self._machines}
        self.nova_conf = self.read('controller', NOVA_CONF)

    def lint(self) -> None:
        done = subprocess.run(
            [
                hosts.tool('ansible-lint'),
                *('--offline', '--nocolor', '--strict'),
                *('--profile', 'production', '.'),
            ],
            cwd=hosts.PLAYBOOKS,
            capture_output=True,
            text=True,
        )
        self.check(
            'ansible-lint accepts the role in its strictest profile',
            not done.returncode,
            done.stdout + done.stderr,
        )

    def dry_run(self) -> None:
        run = hosts.play('site.yml', '--check', '--diff')
        self.check('check mode works before the installation', run.good, run)
        self.check(
            'check mode changes nothing',
            not self.left_over(),
            self.left_over(),
        )

    def install(self) -> None:
        services = self.invocations()
        run = hosts.play('site.yml')
        self.check('the first run installs', run.good, run.output)
        self.check(
            'each service of Nova is restarted once',
            not services & self.invocations(),
            run.output,
        )

    def agent(self) -> None:
        inside = self._machines['compute']
        run = inside.run('systemctl', 'is-enabled', 'hvfilter-publish.timer')
        self.check('the timer is enabled', run.stdout == 'enabled\n', run)
        run = inside.run('systemctl', 'is-active', 'hvfilter-publish.timer')
        self.check('the timer is active', run.stdout == 'active\n', run)
        run = inside.run('id', '-nG', 'hvfilter')
        self.check(
            'the user is in the groups kvm and nova',
            {'kvm', 'nova'} <= set(run.stdout.split()),
            run,
        )
        end = time.monotonic() + PUBLISHED_S
        while not self.published() and time.monotonic() < end:
            time.sleep(1.0)
        journal = inside.run(
            'journalctl', '-u', 'hvfilter-publish.service', '-o', 'cat'
        )
        self.check(
            'the agent has published to Placement',
            self.published(),
            journal.stdout,
        )

    def provider_config(self) -> None:
        inside = self._machines['credentialless']
        service = 'hvfilter-provider-config.service'
        run = inside.run('systemctl', 'is-enabled', service)
        self.check(
            'without credentials, the service is enabled',
            run.stdout == 'enabled\n',
            run,
        )
        run = inside.run('systemctl', 'is-active', 'hvfilter-publish.timer')
        self.check('and the timer is not', run.stdout == 'inactive\n', run)
        run = inside.run('systemctl', 'start', service)
        yaml = self.read('credentialless', PROVIDER_YAML)
        self.check('it writes provider.yaml', 'CUSTOM_HVFILTER' in yaml, run)

    def nova(self) -> None:
        run = self._machines['controller'].run(
            f'{hosts.NOVA_VENV}/bin/python3', '-W', 'ignore', '-c', LOADED
        )
        self.check('Nova loads its configuration', not run.returncode, run)
        enabled, loaded, weighers = json.loads(run.stdout or '[[], [], []]')
        self.check(
            "the filter comes after the operator's own",
            enabled == [*FILTERS.split(','), 'HardwareVirtFilter'],
            enabled,
        )
        self.check(
            'Nova finds every filter that is enabled',
            set(enabled) <= set(loaded),
            loaded,
        )
        self.check(
            'the weigher stays disabled',
            weighers == ['nova.scheduler.weights.all_weighers'],
            weighers,
        )

    def again(self) -> None:
        services = self.invocations()
        for arguments in ((), ('--check',)):
            run = hosts.play('site.yml', *arguments)
            self.check(
                f'a second run {" ".join(arguments)} changes nothing',
                run.good and not any(run.changed.values()),
                run.output,
            )
        self.check(
            'and restarts nothing', services == self.invocations(), services
        )

    def change(self) -> None:
        run = hosts.play('site.yml', '-e', 'hvfilter_weigher=true')
        changed = {host for host, number in run.changed.items() if number}
        self.check(
            'a changed variable changes the hosts that it concerns',
            run.good and changed == {'controller'},
            run.output,
        )
        conf = self.read('controller', NOVA_CONF)
        self.check(
            'the weigher is enabled beside those of Nova',
            'weight_classes = nova.scheduler.weights.all_weighers\n'
            'weight_classes = hvfilter.scheduler.all_weighers\n' in conf,
            conf,
        )

    def remove(self) -> None:
        # No API of Nova is here that could tell which flavors name a trait.
        force = ('-e', 'hvfilter_withdraw_force=true')
        run = hosts.play('remove.yml', *force)
        self.check('the removal works', run.good, run.output)
        self.check(
            'Placement has no trait of hvfilter any more',
            not self.traits('/traits') and not self.published(),
            self.traits('/traits'),
        )
        self.check(
            'nova.conf is what it was',
            self.read('controller', NOVA_CONF) == self.nova_conf,
            self.read('controller', NOVA_CONF),
        )
        self.check('no file is left', not self.left_over(), self.left_over())
        users = [
            self._machines[name].run('id', 'hvfilter').returncode
            for name in ('compute', 'credentialless')
        ]
        self.check('no user is left', all(users), users)
        run = hosts.play('remove.yml', *force)
        self.check(
            'a second removal changes nothing',
            run.good and not any(run.changed.values()),
            run.output,
        )

    def read(self, name: str, path: str) -> str:
        return self._machines[name].run('cat', path).stdout

    def files(self, name: str) -> set[str]:
        run = self._machines[name].shell(f'find {WATCHED} -xdev ! -type d')
        return {
            path
            for path in run.stdout.splitlines()
            if not re.search(PACKAGES, path)
        }

    def left_over(self) -> list[str]:
        return [
            f'{name}:{path}'
            for name, before in self.before.items()
            for path in sorted(self.files(name) - before)
        ]

    def invocations(self) -> set[str]:
        """What systemd names each start of a service of Nova by."""
        return {
            self._machines['controller']
            .run('systemctl', 'show', '-P', 'InvocationID', name)
            .stdout
            for name in ('nova-scheduler', 'nova-api')
        }

    def traits(self, path: str) -> list[str]:
        """Those of hvfilter at a path of Placement."""
        answer = self._cloud.transport().request(
            'GET', path, microversion='1.6'
        )
        return [
            name
            for name in json.loads(answer.body)['traits']
            if name.startswith('CUSTOM_HVFILTER_')
        ]

    def published(self) -> list[str]:
        return self.traits(
            f'/resource_providers/{self._cloud.uuids[0]}/traits'
        )

    def steps(self) -> Iterator[Callable[[], None]]:
        yield self.prepare
        yield self.dry_run
        yield self.install
        yield self.agent
        yield self.provider_config
        yield self.nova
        yield self.again
        yield self.change
        yield self.remove
        yield self.lint


def main() -> int:
    machine.install_tools()
    problem = machine.missing()
    if problem:
        print(f'make ansible cannot run: {problem}')
        return 1
    hosts.WORK.mkdir(exist_ok=True)
    wheel = machine.build_wheel(sys.executable, hosts.ROOT, hosts.WORK)
    hosts.write_inventory(
        HOSTS,
        {
            'hvfilter_wheel': str(hosts.WORK / wheel),
            'hvfilter_nova_venv': hosts.NOVA_VENV,
            'hvfilter_pip_environment': hosts.pip_environment(),
            # There is no API of Nova.
            'hvfilter_upgrade_check': False,
        },
    )
    database = pathlib.Path(hosts.WORK / 'placement.sqlite')
    database.unlink(missing_ok=True)
    cloud = Cloud(f'sqlite:///{database}', providers=2, workers=1)
    try:
        with hosts.started(HOSTS) as machines:
            checks = Checks(machines, cloud)
            for step in checks.steps():
                step()
    finally:
        cloud.stop()
    print(f'{checks.wrong} wrong')
    return 1 if checks.wrong else 0


if __name__ == '__main__':
    sys.exit(main())
