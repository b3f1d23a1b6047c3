# SPDX-License-Identifier: Apache-2.0
"""Why hosts do not fit a guest, and what to change."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from hvfilter.model.policy import Mode, Policy
from hvfilter.model.requirement import Origin
from hvfilter.model.verdict import Cause, Reason
from hvfilter.osc.compute import Aggregate, Hypervisor
from hvfilter.osc.fleet import Host
from hvfilter.osc.placement_stage import PlacementStage
from hvfilter.osc.policies import Policies
from hvfilter.osc.verdicts import Judge, PolicyOf
from hvfilter.rules import infer
from hvfilter.rules.guest import Guest, Need


class Stage(enum.Enum):
    """Who leaves a host out; the values are frozen: scripts read them."""

    PLACEMENT = 'Placement'
    NOVA = 'Nova'
    HVFILTER = 'hvfilter'
    KVM = 'KVM'


class Rejection(NamedTuple):
    """One reason against a host.

    :ivar requirement: what asks for it, in the words used; '' if nothing of
        the request does
    :ivar change: what a person can do about it
    """

    stage: Stage
    reason: str
    requirement: str
    change: str

    def __str__(self) -> str:
        asked = f' ({self.requirement})' if self.requirement else ''
        return f'{self.stage.value}: {self.reason}{asked}'


@dataclasses.dataclass(frozen=True)
class Result:
    """What came out for one host.

    :ivar permissive: what hvfilter has against it is logged only
    """

    host: Host
    against: tuple[Rejection, ...]
    permissive: bool = False

    @property
    def fits(self) -> bool:
        """Whether nothing is against it that is enforced."""
        return all(
            self.permissive and each.stage is Stage.HVFILTER
            for each in self.against
        )


class _ChangedPolicies:
    """Policies of which each is changed in the same way."""

    def __init__(
        self, policies: Policies, change: Callable[[Policy], Policy]
    ) -> None:
        self._policies = policies
        self._change = change
        self._known: dict[Policy, Policy] = {}

    def under(self, aggregates: Sequence[Aggregate]) -> Policy:
        policy = self._policies.under(aggregates)
        if policy not in self._known:
            self._known[policy] = self._change(policy)
        return self._known[policy]


class Explainer:
    """Explains one guest on the hosts of a cloud."""

    def __init__(
        self,
        guest: Guest,
        policies: Policies,
        placement: PlacementStage,
        current_host: str = '',
    ) -> None:
        """Read what Placement says of the guest's requirements.

        :param current_host: the uuid of the host that the server is on: what
            it uses there is its own
        :raises hvfilter.placement.errors.PlacementError: it did not answer
        """
        self._guest = guest
        self._policies = policies
        self._placement = placement
        self._current_host = current_host
        placement.read(guest.needs)
        self._candidates = placement.candidates(guest.needs)

    def results(self, hosts: Iterable[Host]) -> list[Result]:
        """One for each host, in their order."""
        return list(self._results(self._guest, self._policies, hosts))

    def regained(self, hosts: Sequence[Host]) -> dict[str, frozenset[str]]:
        """The uuids of the hosts that fit with one requirement fewer.

        :param hosts: those that do not fit now
        :returns: by the words of the requirement; without those of which
            taking away changes nothing
        """
        found = {}
        for words, guest, policies in self._variants(hosts):
            regained = frozenset(
                each.host.uuid
                for each in self._results(guest, policies, hosts)
                if each.fits
            )
            if regained:
                found[words] = regained
        return found

    def _variants(
        self, hosts: Iterable[Host]
    ) -> Iterator[tuple[str, Guest, PolicyOf]]:
        for words, guest in self._guest.with_one_requirement_fewer():
            yield words, guest, self._policies
        under = {self._policies.under(host.aggregates) for host in hosts}
        required = {
            (f'{policy.required_by} = {key}', key)
            for policy in under
            for key in policy.required
        }
        for words, key in sorted(required):
            yield (
                words,
                self._guest,
                _ChangedPolicies(self._policies, _without_required(key)),
            )
        reserved = {
            policy.reserved_words for policy in under if policy.reserved
        }
        for words in sorted(reserved):
            yield (
                words,
                self._guest,
                _ChangedPolicies(self._policies, _unreserved),
            )

    def _results(
        self, guest: Guest, policies: PolicyOf, hosts: Iterable[Host]
    ) -> Iterator[Result]:
        judge = Judge(guest.guest_request, policies)
        needs = guest.needs
        reasons: dict[Reason, Rejection] = {}
        for host in hosts:
            against = [*self._by_placement(guest, needs, host)]
            against.extend(_by_nova(guest, host))
            for reason in judge.verdict(host).reasons:
                if reason not in reasons:
                    reasons[reason] = _by_hvfilter(reason)
                against.append(reasons[reason])
            permissive = judge.policy(host).mode is Mode.PERMISSIVE
            yield Result(host, tuple(against), permissive)

    def _by_placement(
        self, guest: Guest, needs: Iterable[Need], host: Host
    ) -> Iterator[Rejection]:
        if host.orphan:
            yield _ORPHAN
            return
        complete = guest is self._guest
        if host.uuid in self._candidates:
            return
        found = False
        for need in needs:
            if need.resource and host.uuid == self._current_host:
                found = True
            elif self._placement.fails(need, host.uuid):
                found = True
                yield _unmet(need, need.trait in self._placement.unknown)
        if not found and complete:
            yield _NO_CANDIDATE


_ORPHAN = Rejection(
    Stage.PLACEMENT,
    'Placement has no resource provider of this compute node',
    '',
    'Check that nova-compute runs there and reaches Placement',
)
_NO_CANDIDATE = Rejection(
    Stage.PLACEMENT,
    'meets each requirement, but not all with the same providers',
    '',
    'See "openstack allocation candidate list" with the same request',
)


def _unmet(need: Need, unknown: bool) -> Rejection:
    if need.resource:
        return Rejection(
            Stage.PLACEMENT,
            f'does not have {need.amount} {need.resource} free',
            need.words,
            f'Use a smaller flavor, or free {need.resource}',
        )
    if unknown:
        return Rejection(
            Stage.PLACEMENT,
            f'Placement does not know the trait {need.trait}',
            need.words,
            'Correct the name, or create it: "hvfilter prepare" or '
            f'"openstack trait create {need.trait}"',
        )
    if need.forbidden:
        return Rejection(
            Stage.PLACEMENT,
            f'has the forbidden trait {need.trait}',
            need.words,
            f'Drop {need.words}',
        )
    return Rejection(
        Stage.PLACEMENT,
        f'does not have the trait {need.trait}',
        need.words,
        f'Drop {need.words}, or see why the hosts do not have the trait',
    )


def _by_nova(guest: Guest, host: Host) -> Iterator[Rejection]:
    """What Nova's own filters have against it, as far as its API shows."""
    nova = host.hypervisor
    if nova is not None and not nova.up:
        yield Rejection(
            Stage.NOVA, 'nova-compute is down', '', 'Start nova-compute there'
        )
    if nova is not None and not nova.enabled:
        yield Rejection(
            Stage.NOVA,
            'nova-compute is disabled',
            '',
            'If it may be used again: "openstack compute service set --enable '
            '<host> nova-compute"',
        )
    if nova is not None:
        yield from _by_image(guest, nova)
    if guest.zone and guest.zone not in {
        each.zone for each in host.aggregates
    }:
        yield Rejection(
            Stage.NOVA,
            f'is not in availability zone {guest.zone}',
            f'availability zone {guest.zone}',
            'Use another availability zone, or add hosts to this one',
        )


def _by_image(guest: Guest, nova: Hypervisor) -> Iterator[Rejection]:
    """ImagePropertiesFilter, as far as the hypervisor type decides it.

    Which guests QEMU emulates on a host Nova's API does not show.
    """
    guest_request = guest.guest_request
    hv_type, architecture = (
        guest_request.img_hv_type,
        guest_request.hw_architecture,
    )
    if hv_type is not None and hv_type not in infer.guest_types(nova.kind):
        yield Rejection(
            Stage.NOVA,
            f'hypervisor type {nova.kind} does not suit the image',
            f'img_hv_type={hv_type}',
            f'Use an image without img_hv_type={hv_type}',
        )
    native = infer.native_at_most(nova.facts.machine)
    emulates = infer.may_use_kvm(nova.kind) and hv_type != 'kvm'
    if architecture and native and not emulates and architecture not in native:
        yield Rejection(
            Stage.NOVA,
            f'does not offer {architecture} without emulation',
            f'hw_architecture={architecture}',
            'Use hosts of that architecture',
        )


_OF = {
    Origin.FLAVOR: 'use a flavor without {words}',
    Origin.IMAGE: 'use an image without {words}',
    Origin.POLICY: 'change {words}',
}


def _by_hvfilter(reason: Reason) -> Rejection:
    words = reason.asked_by
    if reason.cause is Cause.NOT_UNDERSTOOD:
        return Rejection(Stage.HVFILTER, reason.summary, reason.subject, words)
    change = CHANGES[reason.cause].format(subject=reason.subject)
    if reason.origin is not None:
        other = _OF[reason.origin].format(words=words)
        change = f'{change}; or {other}' if change else _capital(other)
    return Rejection(Stage.HVFILTER, reason.summary, words, change)


CHANGES = {
    Cause.LACKS: '"hvfilter check {subject}" on the host names the cause and '
    'the fix',
    Cause.HAS_FORBIDDEN: '',
    Cause.UNKNOWN: '"hvfilter check {subject}" on the host names what could '
    'not be read',
    Cause.UNREPORTED: 'Run "hvfilter publish" on the host',
    Cause.STALE: 'Run "hvfilter publish" on the host, and see why its timer '
    'does not',
    Cause.NO_KNOWLEDGE: 'Restore Placement',
    Cause.ARCHITECTURE: 'Use hosts of that architecture, or '
    'hw_emulation_architecture where emulation will do',
    Cause.RESERVED: 'Request one of these in the flavor',
}
"""What a person can do about each cause; ``{subject}`` is the capability."""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _without_required(key: str) -> Callable[[Policy], Policy]:
    def change(policy: Policy) -> Policy:
        required = tuple(each for each in policy.required if each != key)
        return dataclasses.replace(policy, required=required)

    return change


def _unreserved(policy: Policy) -> Policy:
    return dataclasses.replace(policy, reserved=frozenset())
