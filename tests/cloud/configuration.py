# SPDX-License-Identifier: Apache-2.0
"""The configuration files of all services."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Mapping

import yaml

from tests.cloud import machines
from tests.cloud.hosts import Host
from tests.cloud.layout import ADDRESS, REGION, Layout, program

EXCERPT = pathlib.Path(sys.prefix) / 'etc' / 'hvfilter' / 'nova.conf.excerpt'
"""Where the wheel installs it."""

DRIVER = 'fake.RecordedHostDriver'
WORKERS = 2
REFRESH_S = 2
"""[hvfilter]refresh_s."""

REFRESH_NOVA_S = 10
"""How often nova-compute renews what Placement has; its default is 300."""

_FOLDERS = pathlib.Path(sys.prefix) / 'etc'
PASTE = _FOLDERS / 'nova' / 'api-paste.ini'

Sections = Mapping[str, Mapping[str, object]]


def ini(*parts: Sections) -> str:
    """Sections as a file has them; oslo.config puts parts together."""
    lines = []
    for part in parts:
        for section, options in part.items():
            lines.append(f'[{section}]')
            lines += [f'{key} = {value}' for key, value in options.items()]
    return '\n'.join(lines) + '\n'


def _credentials(layout: Layout) -> dict[str, object]:
    return {
        'auth_type': 'password',
        'auth_url': layout.url('keystone', '/v3'),
        'username': 'service',
        'password': layout.secret,
        'project_name': 'service',
        'user_domain_name': 'Default',
        'project_domain_name': 'Default',
        'region_name': REGION,
    }


def _tokens(layout: Layout) -> dict[str, object]:
    return {
        **_credentials(layout),
        'www_authenticate_uri': layout.url('keystone'),
        'service_token_roles_required': True,
    }


def write_keystone(layout: Layout) -> pathlib.Path:
    """keystone.conf"""
    home = layout.folder_of('keystone')
    return _write(
        layout.folder_of('etc') / 'keystone.conf',
        ini(
            {
                'database': {'connection': layout.database('keystone')},
                'fernet_tokens': {'key_repository': home / 'fernet'},
                'credential': {'key_repository': home / 'credential'},
                'oslo_messaging_notifications': {'driver': 'noop'},
            }
        ),
    )


def write_placement(layout: Layout) -> pathlib.Path:
    """placement.conf"""
    return _write(
        layout.folder_of('etc') / 'placement' / 'placement.conf',
        ini(
            {
                'placement_database': {
                    'connection': layout.database('placement')
                },
                'keystone_authtoken': _tokens(layout),
            }
        ),
    )


def write_glance(layout: Layout) -> pathlib.Path:
    """glance-api.conf"""
    home = layout.folder_of('glance')
    paste = _FOLDERS / 'glance' / 'glance-api-paste.ini'
    stores = {
        store: {'filesystem_store_datadir': home / store}
        for store in ('file', 'os_glance_staging_store')
    }
    stores['os_glance_tasks_store'] = {
        'filesystem_store_datadir': home / 'tasks'
    }
    return _write(
        layout.folder_of('etc') / 'glance' / 'glance-api.conf',
        ini(
            {
                'DEFAULT': {
                    'enabled_backends': 'file:file',
                    'bind_host': ADDRESS,
                },
                'database': {'connection': layout.database('glance')},
                'glance_store': {'default_backend': 'file'},
                'keystone_authtoken': _tokens(layout),
                'paste_deploy': {'flavor': 'keystone', 'config_file': paste},
                'oslo_concurrency': {'lock_path': home / 'locks'},
                'oslo_messaging_notifications': {'driver': 'noop'},
            },
            stores,
        ),
    )


def _nova(layout: Layout, state: pathlib.Path, path: pathlib.Path) -> Sections:
    """What all services of Nova have in common.

    :param state: state_path
    :param path: where the service finds this
    """
    helper = {
        'helper_command': f'{program("privsep-helper")} --config-file {path}'
    }
    mine = _credentials(layout)
    return {
        'DEFAULT': {
            'transport_url': layout.broker,
            'state_path': state,
            'my_ip': ADDRESS,
            'graceful_shutdown_timeout': 5,
            # Guests do not listen when asked to shut down.
            'shutdown_timeout': 3,
            'service_down_time': 30,
            'report_interval': 2,
            # Not at a random moment of the first minute.
            'periodic_fuzzy_delay': 0,
            # What the broker lost is noticed sooner than after a minute.
            'rpc_response_timeout': 20,
        },
        'keystone_authtoken': _tokens(layout),
        'service_user': {**mine, 'send_service_user_token': True},
        'placement': mine,
        'glance': {'region_name': REGION},
        'neutron': mine,
        'keystone': {'region_name': REGION},
        'oslo_concurrency': {'lock_path': state / 'locks'},
        'oslo_messaging_notifications': {'driver': 'noop'},
        'wsgi': {'api_paste_config': PASTE},
        'vnc': {'enabled': False},
        'nova_sys_admin': helper,
        'os_vif_privsep': helper,
        'privsep_osbrick': helper,
    }


def _databases(layout: Layout) -> Sections:
    return {
        'api_database': {'connection': layout.database('nova_api')},
        'database': {'connection': layout.database('nova_cell1')},
    }


def _controller(layout: Layout, service: str) -> Sections:
    state = layout.folder_of('nova') / service
    return _nova(layout, state, layout.nova_conf(service))


def write_controller(layout: Layout, service: str) -> pathlib.Path:
    """nova.conf of nova-api or nova-conductor."""
    return _write(
        layout.nova_conf(service),
        ini(
            _controller(layout, service),
            _databases(layout),
            {
                'conductor': {'workers': 1},
                'quota': {'instances': -1, 'cores': -1, 'ram': -1},
            },
        ),
    )


def write_scheduler(
    layout: Layout,
    options: Mapping[str, object] | None,
    *,
    weigher: bool = False,
) -> pathlib.Path:
    """nova.conf of nova-scheduler.

    :param weigher: with the lines about it
    :param options: for [hvfilter], beside the excerpt as the wheel has it;
        without any, hvfilter is not in it
    """
    text = ini(
        _controller(layout, 'nova-scheduler'),
        _databases(layout),
        {
            # One that takes longer is killed, whatever it was doing.
            'DEFAULT': {'debug': True, 'graceful_shutdown_timeout': 15},
            'scheduler': {
                'workers': WORKERS,
                'discover_hosts_in_cells_interval': 2,
            },
            # What memory is free decides, and nothing else.
            'filter_scheduler': {
                'cpu_weight_multiplier': 0,
                'disk_weight_multiplier': 0,
                'io_ops_weight_multiplier': 0,
                'build_failure_weight_multiplier': 0,
                'hypervisor_version_weight_multiplier': 0,
                'image_props_weight_multiplier': 0,
                'num_instances_weight_multiplier': 0,
            },
        },
    )
    if options is not None:
        excerpt = EXCERPT.read_text()
        if weigher:
            excerpt = excerpt.replace('#weight_classes', 'weight_classes')
        text += excerpt
        text += ini({'hvfilter': {'refresh_s': REFRESH_S, **options}})
    return _write(layout.nova_conf('nova-scheduler'), text)


def compute(layout: Layout, host: Host) -> str:
    """nova.conf of one nova-compute; it knows no database."""
    parts = [
        _nova(layout, pathlib.Path('/var/lib/nova'), machines.NOVA_CONF),
        {
            'DEFAULT': {
                'host': host.name,
                'initial_cpu_allocation_ratio': 64,
                'update_resources_interval': REFRESH_NOVA_S,
            },
            # Often, so that what comes back comes soon.
            'compute': {
                'resource_provider_association_refresh': REFRESH_NOVA_S
            },
        },
    ]
    if host.virt_type:
        parts.append(
            {
                'DEFAULT': {
                    'compute_driver': 'libvirt.LibvirtDriver',
                    'reserved_host_memory_mb': host.memory_mb,
                },
                'libvirt': {
                    'virt_type': host.virt_type,
                    'images_type': 'qcow2',
                    # Nova's default for KVM needs a processor that it knows.
                    'cpu_mode': 'none',
                },
            }
        )
    else:
        parts.append({'DEFAULT': {'compute_driver': DRIVER}})
    return ini(*parts)


def write_clouds(layout: Layout) -> None:
    """clouds.yaml, for whoever wants to talk to the cloud."""
    cloud = {
        'auth': {
            'auth_url': layout.url('keystone', '/v3'),
            'username': 'admin',
            'password': layout.secret,
            'project_name': 'admin',
            'user_domain_name': 'Default',
            'project_domain_name': 'Default',
        },
        'region_name': REGION,
        # gunicorn closes connections after two idle seconds, perhaps just
        # when they are used again. Not later than that: nova-scheduler opens
        # one to Placement before it forks, and its workers would share it.
        'connect_retries': 3,
    }
    _write(layout.clouds_yaml, yaml.safe_dump({'clouds': {'hvfilter': cloud}}))


def write_gunicorn(layout: Layout, service: str, app: str) -> pathlib.Path:
    """What gunicorn is told; on its command line OpenStack would read it."""
    return _write(
        layout.folder_of('etc') / 'gunicorn' / f'{service}.py',
        f'wsgi_app = {app!r}\n'
        f'bind = "{ADDRESS}:{layout.ports[service]}"\n'
        'threads = 8\n'
        'timeout = 120\n'
        'control_socket_disable = True\n',
    )


def _write(path: pathlib.Path, text: str) -> pathlib.Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return path
