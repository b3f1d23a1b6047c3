# SPDX-License-Identifier: Apache-2.0
"""The plug-in for the ``openstack`` command.

What ``openstack`` expects of a module in ``openstack.cli.extension``; the
commands are the entry points of ``openstack.hypervisor_capability.v1``.
"""

from __future__ import annotations

import argparse
from typing import Any

from osc_lib import utils

from hvfilter.osc.cloud import Cloud

API_NAME = 'hypervisor_capability'
API_VERSION_OPTION = 'os_hypervisor_capability_api_version'
DEFAULT_API_VERSION = '1'
API_VERSIONS = ('1',)


def make_client(instance: Any) -> Cloud:
    """What commands find as ``self.app.client_manager.hypervisor_capability``.

    :param instance: the client manager of ``openstack``
    """
    return Cloud.of(instance.sdk_connection.config)


def build_option_parser(
    parser: argparse.ArgumentParser,
) -> argparse.ArgumentParser:
    """Add the global option that every plug-in has."""
    parser.add_argument(
        '--os-hypervisor-capability-api-version',
        metavar='<hypervisor-capability-api-version>',
        default=utils.env(
            'OS_HYPERVISOR_CAPABILITY_API_VERSION',
            default=DEFAULT_API_VERSION,
        ),
        help='Version of the hypervisor capability commands, default='
        f'{DEFAULT_API_VERSION} '
        '(Env: OS_HYPERVISOR_CAPABILITY_API_VERSION)',
    )
    return parser
