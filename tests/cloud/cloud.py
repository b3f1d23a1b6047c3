# SPDX-License-Identifier: Apache-2.0
"""Brings the cloud up, and starts and ends its parts as a check wants it."""

from __future__ import annotations

import concurrent.futures
import copy
import getpass
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping

import keystoneauth1.exceptions
from openstack import config, connection

from tests.cloud import (
    configuration,
    machines,
    processes,
    seed,
    servers,
    transcript,
)
from tests.cloud.hosts import BY_NAME, HOSTS, Host
from tests.cloud.layout import ADDRESS, REGION, ROOT, Layout, program

_APPLICATIONS = {
    'keystone': 'keystone.wsgi.api:application',
    'placement': 'placement.wsgi.api:application',
    'glance': 'glance.wsgi.api:application',
    'nova-api': 'nova.wsgi.osapi_compute:application',
}
_ENDPOINTS = {
    'placement': ('placement', ''),
    'image': ('glance', ''),
    'compute': ('nova-api', '/v2.1'),
    'network': ('neutron', ''),
}
# What runs its workers then, and logs what it does.
_NATIVE_THREADS = ' cotyledon.'


class Cloud:
    """All of it, and a connection to it as its operator.

    :ivar admin: of openstacksdk; there after ``start_keystone``
    :ivar weigher: ours is used
    :ivar there: a guest that a check left
    :ivar wheel: hvfilter, as it would be released
    :ivar boots_from: image properties that name kernel and ramdisk
    :ivar made: the servers that a check asked for
    :ivar patient: outages and watches take as long as in a real cloud
    :ivar policy: [hvfilter] of nova-scheduler; None: without hvfilter
    """

    admin: connection.Connection
    wheel: pathlib.Path
    there: dict
    weigher = False
    patient = False
    policy: Mapping[str, object] | None = None

    def __init__(
        self,
        layout: Layout,
        beneath: processes.Processes,
        hosts: machines.Machines,
        running: processes.Processes,
        tell: transcript.Transcript,
    ) -> None:
        """Nothing starts yet.

        :param beneath: gets database and broker
        :param hosts: the machines of nova-compute
        :param running: gets the others, which have to end before those
        :param tell: shows a line to whoever watches
        """
        self.layout = layout
        self.hosts = hosts.by_name
        self.tell: transcript.Tell = tell
        self.made: set[str] = set()
        self.boots_from: dict[str, str] = {}
        self._machines = hosts
        self._beneath = beneath
        self._running = running
        self._one: dict[str, processes.Process] = {}
        etc = layout.folder_of('etc')
        self._environments = {
            'keystone': {
                'OS_KEYSTONE_CONFIG_FILES': str(etc / 'keystone.conf')
            },
            'placement': {'OS_PLACEMENT_CONFIG_DIR': str(etc / 'placement')},
            'glance': {'OS_GLANCE_CONFIG_DIR': str(etc / 'glance')},
            'nova-api': {
                'OS_NOVA_CONFIG_DIR': str(layout.nova_conf('nova-api').parent),
                'OS_NOVA_CONFIG_FILES': f'{configuration.PASTE};nova.conf',
            },
        }

    def beside(self, tell: transcript.Tell) -> Cloud:
        """The same cloud, for a check that runs while others do."""
        other = copy.copy(self)
        other.tell, other.made = tell, set()
        other.admin = self._connected()
        return other

    def configure(self) -> None:
        """Write all configuration files."""
        layout = self.layout
        configuration.write_keystone(layout)
        configuration.write_placement(layout)
        configuration.write_glance(layout)
        for service in ('nova-api', 'nova-conductor'):
            configuration.write_controller(layout, service)
        configuration.write_scheduler(layout, None)
        configuration.write_clouds(layout)
        for service, application in _APPLICATIONS.items():
            configuration.write_gunicorn(layout, service, application)

    def start_servers(self) -> None:
        """The database, and the broker beside it."""
        self.together(self.start_database, self._start_first_broker)

    def start_database(self) -> None:
        """MariaDB, with what it has."""
        self._one['mariadb'] = servers.start_database(
            self.layout, self._beneath
        )

    def _start_first_broker(self) -> None:
        self._one['epmd'] = servers.start_names(self.layout, self._beneath)
        self.start_broker()

    def start_broker(self) -> None:
        """RabbitMQ, with what it has."""
        self._one['rabbitmq'] = servers.start_broker(
            self.layout, self._beneath
        )

    def create_database(self) -> None:
        """MariaDB's own."""
        servers.create_database(self.layout, self._beneath)

    def fill_databases(self) -> None:
        """The tables of all services; two at a time."""
        self.together(self._fill_nova, self._fill_keystone, self._fill_others)

    def keep_databases(self) -> None:
        """For the next run."""
        self.end('mariadb')
        seed.keep(self.layout)
        self.start_database()

    def together(self, *steps: Callable[[], None], hands: int = 2) -> None:
        """Some steps, so many at a time; where one fails, none goes on."""
        with concurrent.futures.ThreadPoolExecutor(hands) as pool:
            begun = [pool.submit(step) for step in steps]
            try:
                for each in concurrent.futures.as_completed(begun):
                    each.result()
            except BaseException:
                # The threads would be waited for, and they for these.
                self._running.end()
                self._beneath.end()
                raise

    def _fill_keystone(self) -> None:
        me = getpass.getuser()
        keys = ['--keystone-user', me, '--keystone-group', me]
        url = self.layout.url('keystone', '/v3')
        for command in (
            ['db_sync'],
            ['fernet_setup', *keys],
            ['credential_setup', *keys],
            [
                'bootstrap',
                *('--bootstrap-password', self.layout.secret),
                *('--bootstrap-public-url', url),
                *('--bootstrap-internal-url', url),
                *('--bootstrap-admin-url', url),
                *('--bootstrap-region-id', REGION),
            ],
        ):
            self._manage('keystone', 'keystone.conf', *command)

    def _fill_others(self) -> None:
        etc = self.layout.folder_of('etc')
        self._running.run(
            'placement-manage',
            [
                program('placement-manage'),
                *('--config-dir', str(etc / 'placement')),
                *('db', 'sync'),
            ],
        )
        self.manage_glance('db_sync')

    def manage_glance(self, *command: str) -> None:
        """Run glance-manage."""
        self._manage('glance', 'glance/glance-api.conf', *command)

    def _fill_nova(self) -> None:
        cell = self.layout.database('nova_cell1')
        for command in (
            ['api_db', 'sync'],
            [
                *('cell_v2', 'map_cell0', '--database_connection'),
                self.layout.database('nova_cell0'),
            ],
            [
                *('cell_v2', 'create_cell', '--name', 'cell1'),
                *('--transport-url', self.layout.broker),
                *('--database_connection', cell),
            ],
            # Of cell0 too, as it is mapped.
            ['db', 'sync'],
        ):
            self._manage('nova', 'nova-conductor/nova.conf', *command)

    def _manage(self, service: str, file: str, *command: str) -> None:
        path = self.layout.folder_of('etc') / file
        name = f'{service}-manage'
        self._running.run(
            name, [program(name), '--config-file', str(path), *command]
        )

    def start_keystone(self) -> None:
        """Keystone, with what it has."""
        self.start_api('keystone')
        self.admin = self._connected()

    def fill_keystone(self) -> None:
        """Everybody that Keystone has to know."""
        identity = self.admin.identity
        project = identity.create_project(name='service', domain_id='default')
        user = identity.create_user(
            name='service',
            domain_id='default',
            password=self.layout.secret,
            default_project_id=project.id,
        )
        # Both are there from the beginning.
        roles = {role.name: role for role in identity.roles()}
        for role in ('admin', 'service'):
            identity.assign_project_role_to_user(project, user, roles[role])
        for kind, (service, path) in _ENDPOINTS.items():
            known = identity.create_service(type=kind, name=service)
            for interface in ('public', 'internal'):
                identity.create_endpoint(
                    service_id=known.id,
                    interface=interface,
                    url=self.layout.url(service, path),
                    region_id=REGION,
                )

        # The catalogue came with the token, when it was empty.
        self.admin = self._connected()

    def _connected(self) -> connection.Connection:
        clouds = config.OpenStackConfig([str(self.layout.clouds_yaml)])
        return connection.Connection(config=clouds.get_one('hvfilter'))

    def start_others(self) -> None:
        """Everything else."""
        port = self.layout.ports['neutron']
        self._one['neutron'] = self._running.start(
            'neutron', [sys.executable, '-m', 'tests.fakes.neutron', str(port)]
        )
        conductor_is_there = self._start_conductor()
        for service in ('placement', 'glance', 'nova-api'):
            self.start_api(service, wait=False)
        scheduler_is_there = self._start_scheduler()
        libvirts_are_there = [
            self._start_libvirt(host) for host in HOSTS if host.virt_type
        ]
        for service in ('placement', 'glance', 'nova-api'):
            self._wait_for_api(service)
        for is_there in libvirts_are_there:
            is_there()
        # Without it nova-compute gives up for ten seconds.
        conductor_is_there()
        for host in HOSTS:
            self.start_compute(host)
        scheduler_is_there()
        self.wait_for_computes()

    def start_machines(self) -> None:
        """The compute hosts, with nova.conf and nothing that runs."""
        self._machines.start()
        for host in HOSTS:
            path = self.hosts[host.name].path(machines.NOVA_CONF)
            path.write_text(configuration.compute(self.layout, host))

    def _start_libvirt(self, host: Host) -> Callable[[], None]:
        """Returns what waits until it listens."""
        name = f'libvirtd-{host.name}'
        machine = self.hosts[host.name]
        process = self._running.start(
            name, machine.command('/usr/sbin/libvirtd')
        )
        self._one[name] = process
        return lambda: process.wait_until(
            machine.path('/run/libvirt/libvirt-sock').exists,
            f'libvirt on {host.name} listens',
        )

    def start_compute(self, host: Host) -> None:
        """The nova-compute of a host."""
        name = f'nova-compute-{host.name}'
        environment = {}
        if host.virt_type:
            command = [program('nova-compute')]
        else:
            command = [sys.executable, '-m', 'tests.fakes.nova_compute']
            command.append(host.arguments)
            environment['PYTHONPATH'] = str(ROOT)
        machine = self.hosts[host.name]
        self._one[name] = self._running.start(
            name, machine.command(*command), environment
        )

    def _restart_compute(self, host: Host) -> Callable[[], None]:
        """Returns what waits until its provider is renewed."""
        name = f'nova-compute-{host.name}'
        begun = self._log_size(name)
        self.start_compute(host)
        process = self._one[name]
        return lambda: process.wait_until(
            lambda: 'MainProcess.update_resources' in self._log(name, begun),
            f'{name} renews its resource provider',
        )

    def restart_computes(self, *hosts: Host) -> None:
        """End and start them, and wait until their providers are renewed."""
        self.restart(*computes(*hosts))
        self.wait_for_reports()

    def start_api(self, service: str, *, wait: bool = True) -> None:
        """A service that is heard over HTTP."""
        settings = self.layout.folder_of('etc') / 'gunicorn' / f'{service}.py'
        self._one[service] = self._running.start(
            service,
            [program('gunicorn')],
            {
                **self._environments[service],
                'GUNICORN_CMD_ARGS': f'-c {settings}',
            },
        )
        if wait:
            self._wait_for_api(service)

    def _wait_for_api(self, service: str) -> None:
        process = self._one[service]
        port = self.layout.ports[service]
        process.wait_until(
            lambda: processes.listening(ADDRESS, port),
            f'{service} listens on port {port}',
        )

    def _start_scheduler(self) -> Callable[[], None]:
        """nova-scheduler with the policy; returns what waits for it."""
        configuration.write_scheduler(
            self.layout, self.policy, weigher=self.weigher
        )
        begun = self.scheduler_log_size()
        process = self._nova('nova-scheduler')
        return lambda: process.wait_until(
            lambda: self._workers_since(begun) >= configuration.WORKERS,
            'all workers of nova-scheduler are there',
        )

    def _nova(self, service: str) -> processes.Process:
        path = self.layout.nova_conf(service)
        process = self._running.start(
            service, [program(service), '--config-file', str(path)]
        )
        self._one[service] = process
        return process

    def wait_for_computes(self) -> None:
        """Until all are up, and Placement has their providers."""

        def all_up() -> bool:
            # Before nova-scheduler has looked for new hosts there are none.
            try:
                hypervisors = self.get('/os-hypervisors')['hypervisors']
            except keystoneauth1.exceptions.HttpError:
                return False
            up = {h['hypervisor_hostname'] for h in hypervisors}
            return up >= {host.name for host in HOSTS} and all(
                'COMPUTE_NODE' in self.traits(host.name) for host in HOSTS
            )

        processes.wait_until(
            all_up,
            f'all hypervisors are listed; see {self.layout.logs}/nova-*.log',
            lambda: all(each.running for each in self._one.values()),
        )

    def wait_for_reports(self) -> None:
        """Until every service of Nova has reported anew.

        A request that nova-api sends while the others still reconnect to a
        new broker is lost.
        """
        before = self._reports()
        processes.wait_until(
            lambda: all(
                self._reports().get(service, then) > then
                for service, then in before.items()
            ),
            'all services of Nova report',
        )

    def _reports(self) -> dict[int, str]:
        services = self.get('/os-services')['services']
        return {each['id']: each['updated_at'] or '' for each in services}

    def get(self, path: str) -> dict:
        """Ask nova-api."""
        answer = self.admin.compute.get(path, microversion='2.87')
        answer.raise_for_status()
        return answer.json()

    def traits(self, host: str) -> frozenset[str]:
        """Those of a host's resource provider."""
        placement = self.admin.placement
        for provider in placement.resource_providers(name=host):
            answer = placement.get(
                f'/resource_providers/{provider.id}/traits',
                microversion='1.6',
            )
            return frozenset(answer.json()['traits'])
        return frozenset()

    def set_traits(self, host: str, names: Collection[str]) -> None:
        """Give a host's resource provider exactly these; new names too."""
        placement = self.admin.placement
        (provider,) = placement.resource_providers(name=host)
        path = f'/resource_providers/{provider.id}/traits'
        for name in names:
            if name.startswith('CUSTOM_'):
                placement.put(f'/traits/{name}', microversion='1.6')
        now = placement.get(path, microversion='1.6').json()
        placement.put(
            path,
            json={
                'resource_provider_generation': now[
                    'resource_provider_generation'
                ],
                'traits': sorted(names),
            },
            microversion='1.6',
        ).raise_for_status()

    def trait_names(self, prefix: str) -> list[str]:
        """Those that Placement knows."""
        answer = self.admin.placement.get(
            f'/traits?name=startswith:{prefix}', microversion='1.6'
        )
        return sorted(answer.json()['traits'])

    def hvfilter(self, *arguments: str, status: int = 0) -> str:
        """Run the command as the cloud's operator; what it printed.

        :raises Failed: its exit code is another
        """
        done = subprocess.run(
            [program('hvfilter'), *arguments],
            env={
                **os.environ,
                'OS_CLOUD': 'hvfilter',
                'OS_CLIENT_CONFIG_FILE': str(self.layout.clouds_yaml),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        line = f'$ hvfilter {" ".join(arguments)}'
        with (self.layout.logs / 'hvfilter.log').open('a') as log:
            log.write(f'{line}\n{done.stdout}[{done.returncode}]\n\n')
        if done.returncode != status:
            raise processes.Failed(
                f'{line} ended with {done.returncode}: {done.stdout[-500:]}'
            )
        return f'{line}\n{done.stdout.strip()}'

    def restart(self, *services: str) -> None:
        """End them and start them again, all at once."""
        for service in services:
            self._one[service].ask_to_end()
        for service in services:
            self.end(service)
        for is_there in [self._start(service) for service in services]:
            is_there()

    def _start(self, service: str) -> Callable[[], None]:
        """Returns what waits until it is there."""
        kind, _, host = service.rpartition('-')
        if kind == 'nova-compute':
            return self._restart_compute(BY_NAME[host])
        if service in _APPLICATIONS:
            self.start_api(service, wait=False)
            return lambda: self._wait_for_api(service)
        if service == 'nova-scheduler':
            return self._start_scheduler()
        if kind == 'libvirtd':
            return self._start_libvirt(BY_NAME[host])
        if service == 'mariadb':
            self.start_database()
        elif service == 'rabbitmq':
            self.start_broker()
        else:
            return self._start_conductor()
        return lambda: None

    def _start_conductor(self) -> Callable[[], None]:
        begun = self._log_size('nova-conductor')
        process = self._nova('nova-conductor')
        return lambda: process.wait_until(
            lambda: (
                'Starting conductor node' in self._log('nova-conductor', begun)
            ),
            'nova-conductor is there',
        )

    def end(self, service: str) -> int:
        """TERM; the exit code."""
        return self._one[service].end()

    def reload_scheduler(self, options: Mapping[str, object]) -> None:
        """Change its policy, send SIGHUP, and wait until it has arrived."""
        self.policy = options
        configuration.write_scheduler(
            self.layout, self.policy, weigher=self.weigher
        )
        begun = self.scheduler_log_size()
        self._one['nova-scheduler'].send(signal.SIGHUP)
        if _NATIVE_THREADS in self.scheduler_log(0):
            # Each worker ends, and a new one takes its place; what an ending
            # one has received and not begun is lost.
            processes.wait_until(
                lambda: self._workers_since(begun) >= configuration.WORKERS,
                'nova-scheduler has new workers after SIGHUP',
            )
        else:
            time.sleep(2 * configuration.REFRESH_S)

    def _workers_since(self, begun: int) -> int:
        return self.scheduler_log(begun).count('Creating RPC server for')

    def scheduler_log_size(self) -> int:
        """Where the log of nova-scheduler ends now."""
        return self._log_size('nova-scheduler')

    def scheduler_log(self, begun: int) -> str:
        """What came since."""
        return self._log('nova-scheduler', begun)

    def _log_size(self, service: str) -> int:
        path = self.layout.logs / f'{service}.log'
        return path.stat().st_size if path.exists() else 0

    def _log(self, service: str, begun: int) -> str:
        with (self.layout.logs / f'{service}.log').open('rb') as log:
            log.seek(begun)
            return log.read().decode(errors='replace')

    @property
    def ending(self) -> bool:
        """Nothing can be started any more."""
        return self._running.ending

    def died(self) -> list[str]:
        """Who ended of itself."""
        return [n for n, each in list(self._one.items()) if each.died]


def computes(*hosts: Host) -> tuple[str, ...]:
    """The names of their services; without any, of all."""
    return tuple(f'nova-compute-{host.name}' for host in hosts or HOSTS)


def up(cloud: Cloud, *, filled: bool) -> None:
    """All steps; shows how long each took.

    :param filled: the databases hold all that they need
    """
    fill = (
        ('the databases of all services', cloud.fill_databases),
        ('Keystone', cloud.start_keystone),
        ('users, roles and endpoints', cloud.fill_keystone),
        ('a copy of the databases, for the next time', cloud.keep_databases),
    )
    steps = (
        ('configuration', cloud.configure),
        ('the namespaces of the compute hosts', cloud.start_machines),
        *(() if filled else (("MariaDB's own data", cloud.create_database),)),
        ('MariaDB and RabbitMQ', cloud.start_servers),
        *((('Keystone', cloud.start_keystone),) if filled else fill),
        ('Placement, Glance, Nova, libvirt', cloud.start_others),
    )
    for what, step in steps:
        began = time.monotonic()
        step()
        cloud.tell(f'{time.monotonic() - began:5.1f} s  {what}')
