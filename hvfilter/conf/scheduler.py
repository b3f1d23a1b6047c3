# SPDX-License-Identifier: Apache-2.0
"""Options of nova-scheduler's part, read from nova.conf."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping

from oslo_config import cfg, types

from hvfilter.conf import age
from hvfilter.model import catalogue
from hvfilter.model.policy import Mode, NestedSetOnMove, WhenUnknown

GROUP = cfg.OptGroup(
    'hvfilter',
    title='hvfilter',
    help='Placing KVM guests only on hosts that can run them as requested.',
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
            raise ValueError(f'{key!r} is not a capability; allowed: {known}')
        return key

    def __repr__(self) -> str:
        return 'Capability'

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    __hash__ = types.ConfigType.__hash__

    def _formatter(self, value: str) -> str:
        return value


class Number(types.Float):  # type: ignore[misc]
    """A finite number; oslo.config's own takes nan and inf, and nothing."""

    def __call__(self, value: object) -> float:
        """Check it; ValueError names the value and what is allowed."""
        try:
            number = super().__call__(value)
        except (ValueError, TypeError):
            number = None
        if number is None or not math.isfinite(number):
            floor = '' if self.min is None else f' of at least {self.min:g}'
            raise ValueError(
                f'{str(value)!r} is not allowed; allowed: a number{floor}'
            )
        return float(number)


def _seconds(name: str, default: float, text: str) -> cfg.Opt:
    kind = Number(min=0)
    return cfg.Opt(name, type=kind, default=default, mutable=True, help=text)


def _multiplier(name: str, text: str) -> cfg.Opt:
    return cfg.Opt(name, type=Number(), default=1.0, mutable=True, help=text)


def _choices(helps: Mapping[enum.Enum, str]) -> list[tuple[str, str]]:
    return [(choice.value, text) for choice, text in helps.items()]


OPTS = [
    cfg.ListOpt(
        'required',
        default=['kvm'],
        item_type=Capability(),
        mutable=True,
        help="""
Capabilities that every KVM guest needs, beyond those that its flavor and image
request. An image with ``img_hv_type`` of another hypervisor is exempt. A guest
with ``img_hv_type`` = qemu or ``hw_emulation_architecture`` may be emulated: a
host that Nova emulates it on is accepted for it. Empty: only what flavors and
images request is enforced.

A capability named in the flavor or image takes precedence over this option.

Aggregate metadata ``hvfilter:required`` replaces it for an aggregate's hosts.
""",
    ),
    cfg.ListOpt(
        'reserved',
        default=[],
        item_type=Capability(),
        mutable=True,
        help="""
Capabilities whose hosts are kept for guests that request one of them, as
required or as preferred. HardwareVirtFilter rejects such hosts for other
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
Capabilities that HardwareVirtWeigher keeps free where possible for guests that
request them: the fewer hosts have one, the more do other guests avoid them. No
host is rejected because of this; see ``reserved``.
""",
    ),
    cfg.StrOpt(
        'mode',
        default=Mode.ENFORCING.value,
        mutable=True,
        choices=_choices(
            {
                Mode.ENFORCING: 'Hosts that do not fit are rejected.',
                Mode.PERMISSIVE: (
                    'Verdicts are logged and counted only; all hosts pass.'
                ),
            }
        ),
        help="""
What happens to a host that does not fit. Aggregate metadata ``hvfilter:mode``
replaces it for an aggregate's hosts.
""",
    ),
    cfg.StrOpt(
        'unreported',
        default=WhenUnknown.INFER.value,
        mutable=True,
        choices=_choices(
            {
                WhenUnknown.INFER: (
                    "Reject the host if Nova's own data rules it out, or if "
                    'a flavor or image explicitly requests a capability '
                    'whose state is not known; otherwise accept it.'
                ),
                WhenUnknown.ACCEPT: 'Accept the host, whatever is requested.',
                WhenUnknown.REJECT: (
                    'Reject the host, if anything is requested.'
                ),
            }
        ),
        help="""
What to do with a KVM host on which "hvfilter publish" never ran. Aggregate
metadata ``hvfilter:unreported`` replaces it for an aggregate's hosts.
""",
    ),
    cfg.StrOpt(
        'placement_unreachable',
        default=WhenUnknown.INFER.value,
        mutable=True,
        choices=_choices(
            {
                WhenUnknown.INFER: (
                    'As for a host that never reported, see unreported.'
                ),
                WhenUnknown.ACCEPT: 'Accept all hosts.',
                WhenUnknown.REJECT: (
                    'Reject all hosts, if anything is requested.'
                ),
            }
        ),
        help="""
What to do when Placement does not answer and its last answers are older than
``trust_s``. Aggregate metadata ``hvfilter:placement_unreachable`` replaces it
for an aggregate's hosts.
""",
    ),
    _seconds(
        'refresh_s',
        30.0,
        """
Age, in seconds, from which the list of hosts per trait is refreshed from
Placement. Up to twice this age one request refreshes it while others use the
cached list; from then on all wait for the refresh, at most ``wait_s``. Where
Placement takes long to answer, a worker stretches this by itself so that
refreshing takes at most 5 % of its time. Changes of aggregate metadata take
effect within the same time.
""",
    ),
    _seconds(
        'trust_s',
        600.0,
        """
How long, in seconds, cached Placement answers may be used while Placement is
unreachable. After that see ``placement_unreachable``. Must not be less than
``refresh_s``.
""",
    ),
    _seconds(
        'retry_s',
        5.0,
        """
Seconds to wait after a failed Placement request before retrying. Doubled with
each further failure, up to ``refresh_s``.
""",
    ),
    _seconds(
        'wait_s',
        20.0,
        """
How long, in seconds, one scheduling request may wait for Placement in all. A
Placement that has not answered by then counts as unreachable.
""",
    ),
    age.REPORT_MAX_AGE_WEEKS,
    cfg.BoolOpt(
        'prefilter',
        default=False,
        help="""
Let Placement itself leave out hosts that do not fit, by adding traits to
Nova's query for allocation candidates. Needed where the number of hosts with
room is larger than ``[scheduler]max_placement_results``: Placement stops
there, and may not have reached the hosts that fit.

Only what would make HardwareVirtFilter reject a host for certain is added:
what is requested explicitly, unless ``unreported`` is accept; what is
forbidden or reserved; and what the policy requires once all compute nodes have
reported. Needs HardwareVirtFilter enabled. Read when nova-scheduler starts.
""",
    ),
    cfg.StrOpt(
        'nested_set_on_move',
        default=NestedSetOnMove.PREFER.value,
        mutable=True,
        choices=_choices(
            {
                NestedSetOnMove.IGNORE: 'Nested sets are not compared.',
                NestedSetOnMove.PREFER: (
                    'HardwareVirtWeigher prefers hosts that offer all '
                    'features.'
                ),
                NestedSetOnMove.REQUIRE: (
                    'HardwareVirtFilter also rejects hosts that lack one.'
                ),
            }
        ),
        help="""
What happens when a server that requests ``nested`` or ``nested_slat`` is
moved: whether its new host has to offer the VMX or SVM features of its old
one.
A running guest that uses them cannot be restored on a host that lacks one.
Nova does not show the scheduler whether a move is a live migration, so this
applies to cold migration, resize and evacuation, too; not to unshelve. A host
whose features are not known is accepted, unless ``unreported`` is reject.

In HardwareVirtWeigher this counts as much as everything that is requested as
preferred; see ``preferred_weight_multiplier``.
""",
    ),
    _multiplier(
        'preferred_weight_multiplier',
        """
How much HardwareVirtWeigher prefers a host with all capabilities that are
requested as preferred; a host with a part of them gets that part. Aggregate
metadata ``hvfilter:preferred_weight_multiplier`` replaces it for an
aggregate's hosts.
""",
    ),
    _multiplier(
        'scarce_weight_multiplier',
        """
How much HardwareVirtWeigher avoids a host with scarce or reserved capabilities
that the guest does not request. Aggregate metadata
``hvfilter:scarce_weight_multiplier`` replaces it for an aggregate's hosts.
""",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Make the options known to Nova's configuration; harmless if they are."""
    group = cfg.OptGroup(GROUP.name, title=GROUP.title, help=GROUP.help)
    conf.register_group(group)
    conf.register_opts(OPTS, group=GROUP.name)
