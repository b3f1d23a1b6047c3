# SPDX-License-Identifier: Apache-2.0
"""Options of nova-scheduler's part, read from nova.conf."""

from __future__ import annotations

from oslo_config import cfg, types

from hvfilter.model import catalogue

GROUP = cfg.OptGroup(
    'hvfilter',
    title='hvfilter',
    help='Placing KVM guests only on hosts that can run them as asked.',
)

_KEYS = sorted(catalogue.BY_KEY)


# oslo.config has no types of its own to check against.
class Capability(types.ConfigType):  # type: ignore[misc]
    """A key of the catalogue."""

    def __init__(self) -> None:
        super().__init__(type_name='capability')

    def __call__(self, value: object) -> str:
        """Check it; ValueError names the known ones."""
        key = str(value).strip()
        if key not in catalogue.BY_KEY:
            known = ', '.join(_KEYS)
            raise ValueError(f'{key!r} is no capability; known are: {known}')
        return key

    def __repr__(self) -> str:
        return 'Capability'

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    __hash__ = types.ConfigType.__hash__

    def _formatter(self, value: str) -> str:
        return value


OPTS = [
    cfg.ListOpt(
        'required',
        default=['kvm'],
        item_type=Capability(),
        mutable=True,
        help="""
Capabilities that every KVM guest needs, beyond what its flavor and image ask
for. A guest is one unless its image has ``img_hv_type`` set to something
other than kvm, or ``hw_emulation_architecture``. Empty: nothing is needed
that nobody asked for.

What a flavor or an image says of a capability goes before this.

Aggregate metadata ``hvfilter:required`` replaces it for an aggregate's hosts.
""",
    ),
    cfg.ListOpt(
        'reserved',
        default=[],
        item_type=Capability(),
        mutable=True,
        help="""
Capabilities whose hosts are kept for guests that ask for one of them, as
required or as preferred. HardwareVirtFilter passes such hosts over for other
guests; HardwareVirtWeigher avoids them.

Aggregate metadata ``hvfilter:reserved`` replaces it for an aggregate's hosts.
""",
    ),
    cfg.ListOpt(
        'scarce',
        default=['nested', 'sev', 'sev_es', 'sev_snp', 'tdx'],
        item_type=Capability(),
        mutable=True,
        help="""
Capabilities that HardwareVirtWeigher keeps free, as far as it can, for guests
that ask for them: the fewer hosts have one, the more are they avoided by
others. No host is passed over because of this; see ``reserved``.
""",
    ),
    cfg.StrOpt(
        'mode',
        default='enforcing',
        mutable=True,
        choices=[
            ('enforcing', 'Hosts that do not fit are passed over.'),
            ('permissive', 'It is logged and counted only; all hosts pass.'),
        ],
        help="""
What becomes of a host that does not fit. Aggregate metadata ``hvfilter:mode``
replaces it for an aggregate's hosts.
""",
    ),
    cfg.StrOpt(
        'unreported',
        default='infer',
        mutable=True,
        choices=[
            (
                'infer',
                'Pass it over if Nova itself knows that it will not do, or '
                'if a flavor or image asks in words of hvfilter for what is '
                'not known; otherwise let it pass.',
            ),
            ('accept', 'Let it pass, whatever is asked.'),
            ('reject', 'Pass it over, if anything is asked.'),
        ],
        help="""
What to do with a KVM host on which "hvfilter publish" never ran. Aggregate
metadata ``hvfilter:unreported`` replaces it for an aggregate's hosts.
""",
    ),
    cfg.StrOpt(
        'placement_unreachable',
        default='infer',
        mutable=True,
        choices=[
            ('infer', 'As for a host that never reported, see unreported.'),
            ('accept', 'Let all hosts pass.'),
            ('reject', 'Pass all hosts over, if anything is asked.'),
        ],
        help="""
What to do when Placement does not answer and what it said last is older than
``trust_s``. Aggregate metadata ``hvfilter:placement_unreachable`` replaces it
for an aggregate's hosts.
""",
    ),
    cfg.FloatOpt(
        'refresh_s',
        default=30.0,
        min=0,
        mutable=True,
        help="""
After how many seconds to ask Placement again which hosts have what. Changes
of aggregate metadata take effect within the same time.
""",
    ),
    cfg.FloatOpt(
        'trust_s',
        default=600.0,
        min=0,
        mutable=True,
        help="""
For how many seconds to go by what Placement said last while it does not
answer. After that see ``placement_unreachable``.
""",
    ),
    cfg.FloatOpt(
        'retry_s',
        default=5.0,
        min=0,
        mutable=True,
        help='How many seconds not to ask Placement again after a failure.',
    ),
    cfg.BoolOpt(
        'prefilter',
        default=False,
        help="""
Let Placement itself leave out hosts that do not fit, by adding traits to
Nova's query for allocation candidates. Needed where the number of hosts with
room is larger than ``[scheduler]max_placement_results``: Placement stops
there, and may not have come to the hosts that fit.

Only what would make HardwareVirtFilter pass a host over for certain is added:
what is asked explicitly, unless ``unreported`` is accept; what is forbidden
or reserved; and what the policy requires once all compute nodes have reported.
Needs HardwareVirtFilter enabled. Read when nova-scheduler starts.
""",
    ),
    cfg.FloatOpt(
        'preferred_weight_multiplier',
        default=1.0,
        mutable=True,
        help="""
How much HardwareVirtWeigher prefers a host that has all that is asked for as
preferred; a host that has a part of it gets that part. Aggregate metadata
``hvfilter:preferred_weight_multiplier`` replaces it for an aggregate's hosts.
""",
    ),
    cfg.FloatOpt(
        'scarce_weight_multiplier',
        default=1.0,
        mutable=True,
        help="""
How much HardwareVirtWeigher avoids a host with scarce or reserved capabilities
that the guest does not ask for. Aggregate metadata
``hvfilter:scarce_weight_multiplier`` replaces it for an aggregate's hosts.
""",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Make the options known to Nova's configuration; harmless if they are."""
    group = cfg.OptGroup(GROUP.name, title=GROUP.title, help=GROUP.help)
    conf.register_group(group)
    conf.register_opts(OPTS, group=GROUP.name)
