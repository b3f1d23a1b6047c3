# SPDX-License-Identifier: Apache-2.0
"""Options of the agent on a compute host, read by oslo.config.

How to reach Placement is configured in ``[placement]`` with the options that
Nova has, so that nova-compute's own files serve.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from oslo_config import cfg, types

from hvfilter.conf import age, config_files, references

GROUP = cfg.OptGroup(
    'hvfilter',
    title='hvfilter',
    help='Detecting and publishing the virtualization capabilities of a host.',
)

PLACEMENT_GROUP = cfg.OptGroup(
    'placement',
    title='Placement',
    help='How to reach Placement: the same options that Nova reads.',
)


# oslo.config has no types to check against.
class Seconds(types.Float):  # type: ignore[misc]
    """A finite number of seconds."""

    def __call__(self, value: Any) -> float | None:
        """See ``oslo_config.types.Float``, which takes nan and inf."""
        seconds: float | None = super().__call__(value)
        if seconds is not None and not math.isfinite(seconds):
            raise ValueError(f'{seconds} is not a number of seconds')
        return seconds


OPTS = [
    cfg.ListOpt(
        'publishers',
        default=['placement'],
        help="""
The publishers that "hvfilter publish" runs, in this order, by their names in
the entry point namespace hvfilter.publishers.

Possible values:

* ``placement``: traits of this host's resource provider, through the REST API
* ``provider-config``: a provider.yaml that nova-compute reads when it starts
* ``textfile``: metrics for the textfile collector of Prometheus'
  node_exporter; list it last, so that it reports the results of the others
""",
    ),
    cfg.StrOpt(
        'provider_uuid',
        help="""
The uuid of this host's resource provider. Unset: the uuid in nova-compute's
compute_id file (since 2023.1); without it, the provider is looked up by name.
""",
    ),
    cfg.StrOpt(
        'provider_name',
        help="""
The name of this host's resource provider: what "openstack hypervisor list"
shows. Unset: the host name as libvirt reports it to nova-compute.
""",
    ),
    cfg.Opt(
        'publish_deadline_s',
        type=Seconds(min=0),
        default=120.0,
        help="""
How long, in seconds, to retry while Placement is unreachable or busy, or while
the resource provider does not exist yet. 0 tries once.
""",
    ),
    cfg.Opt(
        'placement_timeout_s',
        type=Seconds(min=0.1),
        default=30.0,
        help="""
How long, in seconds, to wait for one response of Placement or Keystone, where
[placement] timeout is not set.
""",
    ),
    cfg.IntOpt(
        'publish_conflict_retries',
        default=20,
        min=0,
        help="""
How many times to read the provider's traits again and retry when another
writer (nova-compute, an operator) changed the provider in the meantime.
""",
    ),
    cfg.StrOpt(
        'provider_config_file',
        default='/etc/nova/provider_config/hvfilter.yaml',
        help="""
The file that the publisher provider-config writes. It must be in the directory
of nova-compute's [compute] provider_config_location and end in ".yaml".
""",
    ),
    cfg.StrOpt(
        'provider_config_mode',
        default='0644',
        regex='^0?[0-7]{3}$',
        help='Octal permissions of [hvfilter] provider_config_file.',
    ),
    cfg.StrOpt(
        'textfile',
        default='/var/lib/prometheus/node-exporter/hvfilter.prom',
        help="""
The file that the publisher textfile writes. It must be in the directory that
node_exporter's --collector.textfile.directory names and end in ".prom".
""",
    ),
    cfg.StrOpt(
        'textfile_mode',
        default='0644',
        regex='^0?[0-7]{3}$',
        help='Octal permissions of [hvfilter] textfile.',
    ),
    age.REPORT_MAX_AGE_WEEKS,
    cfg.StrOpt(
        'nova_release',
        help="""
The major version of Nova on this host, such as ``34``. It decides which
confidential guests (SEV-ES, SEV-SNP, TDX) can be started. Unset: the version
of the installed package. Set it where nova-compute runs in a container or a
snap, or where several versions are installed; otherwise these capabilities
are unknown there.
""",
    ),
    cfg.BoolOpt(
        'nested_guest',
        default=True,
        help="""
Run a small guest that runs a guest of its own, to prove nested virtualization,
where KVM offers it and runs the small guest itself natively. It takes
milliseconds and leaves nothing behind. With ``false``, and with --no-smoke,
``nested`` and ``nested_slat`` rest on what KVM offers.
""",
    ),
    cfg.ListOpt(
        'overrule',
        default=[],
        help="""
Override the detected state of capabilities: "<capability>=present" or
"<capability>=absent", such as ``kvm=present``. The report still shows the
detected state, marked as overridden.

Publishing a capability the host does not have will schedule guests onto a host
that cannot run them.
""",
    ),
]

#: Options of nova-compute that identify this host's provider.
NOVA_OPTS = [
    cfg.StrOpt('state_path', default='/var/lib/nova'),
    cfg.StrOpt('compute_driver'),
]

#: Where nova-compute reads provider.yaml files, in its group ``compute``.
NOVA_COMPUTE_OPTS = [
    cfg.StrOpt(
        'provider_config_location', default='/etc/nova/provider_config/'
    ),
]


def provider_config_location(conf: cfg.ConfigOpts) -> str:
    """The directory of nova-compute's provider.yaml files.

    Nova's default where the value has a variable that only Nova knows.
    """
    try:
        return str(conf.compute.provider_config_location)
    except cfg.Error:
        return str(NOVA_COMPUTE_OPTS[0].default)


_VERSIONS = ('version', 'min_version', 'max_version')


_VALUE_ERROR = re.compile(r"detail='([^']*)'\) is not valid: (.*)", re.DOTALL)
"""The text of ``ConfigFileValueError``; oslo_config/cfg.py, ``_do_get``."""


def load(
    files: Sequence[str], directories: Sequence[str] = ()
) -> cfg.ConfigOpts:
    """Read the configuration of the agent.

    :param files: configuration files, later ones override earlier ones
    :param directories: directories whose ``*.conf`` are read after the files
    :raises hvfilter.model.problem.Problem: a file is missing, not readable or
        malformed, or sets an option of hvfilter to an invalid value.
    """
    conf = cfg.ConfigOpts()
    register(conf)
    conf.register_opts(NOVA_OPTS)
    conf.register_opts(NOVA_COMPUTE_OPTS, group='compute')
    config_files.read(conf, files, directories)
    _check_values(conf)
    return conf


def _check_values(conf: cfg.ConfigOpts) -> None:
    """Reject invalid values at once, with the option's name."""
    for opt in OPTS:
        try:
            conf[GROUP.name][opt.dest]
        except (cfg.Error, ValueError) as error:
            # Only the text says in which file the value is.
            match = _VALUE_ERROR.search(str(error))
            where, reason = match.groups() if match else ('?', str(error))
            raise config_files.unusable(
                f'Invalid value of [{GROUP.name}] {opt.dest} in {where}: '
                f'{reason.rstrip(".")}',
                'Correct the option.',
            ) from None


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options of the agent."""
    conf.register_group(_fresh(GROUP))
    conf.register_opts(OPTS, group=GROUP.name)


def register_placement(conf: cfg.ConfigOpts) -> None:
    """Register the options of keystoneauth1 under ``[placement]``.

    :raises hvfilter.model.problem.Problem: a value refers to an option that
        is not set.
    """
    from keystoneauth1 import loading

    name = PLACEMENT_GROUP.name
    conf.register_group(_fresh(PLACEMENT_GROUP))
    loading.register_session_conf_options(conf, name)
    loading.register_auth_conf_options(conf, name)
    conf.register_opts(_adapter_opts(), group=name)
    # keystoneauth1 reads these too. The code knows the version that it needs,
    # so values in files are ignored.
    ignored = [cfg.Opt(each, type=_nothing) for each in _VERSIONS]
    conf.register_opts(ignored, group=name)
    section = conf[name].auth_section or name
    unset = references.register(conf, {name, section})
    if unset:
        raise config_files.unusable(
            f'[{section}] refers to {", ".join(f"${each}" for each in unset)}'
            ', which no configuration file sets',
            f'Write the value out in [{section}].',
        )


def _nothing(_: str) -> None:
    """The type of an option whose value is ignored."""


def _fresh(group: cfg.OptGroup) -> cfg.OptGroup:
    """A copy without options: configurations would share those of a group."""
    return cfg.OptGroup(group.name, title=group.title, help=group.help)


def placement_opts() -> list[Any]:
    """The options of ``[placement]``, for the configuration sample."""
    from keystoneauth1 import loading

    return [
        *loading.get_session_conf_options(),
        *loading.get_auth_common_conf_options(),
        *loading.get_auth_plugin_conf_options('v3password'),
        *_adapter_opts(),
    ]


def _adapter_opts() -> list[Any]:
    """As Nova has them: no versions, internal endpoints preferred."""
    from keystoneauth1 import loading

    opts = [
        opt
        for opt in loading.get_adapter_conf_options(include_deprecated=False)
        if opt.dest not in _VERSIONS
    ]
    cfg.set_defaults(
        opts,
        valid_interfaces=['internal', 'public'],
        service_type='placement',
    )
    return opts
