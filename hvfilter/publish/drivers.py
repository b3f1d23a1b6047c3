# SPDX-License-Identifier: Apache-2.0
"""Which of Nova's drivers have a resource provider for the host itself."""

from __future__ import annotations

from oslo_config import cfg

from hvfilter.model.problem import Problem


def refuse_ironic(conf: cfg.ConfigOpts) -> None:
    """Refuse to publish about a host whose nova-compute manages others.

    :raises hvfilter.model.problem.Problem: its compute nodes are Ironic's.
    """
    if 'ironic' in (conf.compute_driver or '').lower():
        raise Problem(
            f'This nova-compute ({conf.compute_driver}) manages bare metal '
            'nodes, each with a resource provider of its own, and none of '
            'them is this host',
            'Run hvfilter on hosts that run guests; Ironic nodes get their '
            'traits from Ironic ("openstack baremetal node add trait").',
        )
