# SPDX-License-Identifier: Apache-2.0
"""HardwareVirtFilter: only hosts that can run the guest as requested."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from nova.scheduler import filters
from oslo_log import log as logging

from hvfilter.model.policy import Mode, NestedSetOnMove, WhenUnknown
from hvfilter.placement import time_limit
from hvfilter.rules import explain
from hvfilter.rules.nested_move import Fit
from hvfilter.scheduler import (
    fallback,
    guru_report,
    isolation,
    nested_moves,
    policies,
    prefilter,
    request,
    request_tracking,
    settings,
    verdict_cache,
    worker_state,
)
from hvfilter.scheduler.host_classes import uuid_of

LOG = logging.getLogger(__name__)

_MOST_READ = 100


# Nova has no types to check against.
class HardwareVirtFilter(filters.BaseHostFilter):  # type: ignore[misc]
    """Rejects hosts that cannot run a KVM guest as it is requested.

    Compares what flavor, image and policy request with the traits that
    "hvfilter publish" gave to the hosts' resource providers.

    Runs on rebuild too, and then judges only what the image asks for: the
    guest stays on its host, where flavor and policy were judged when it
    placed. No exception leaves it: if it fails, mode and placement_unreachable
    decide.
    """

    RUN_ON_REBUILD = True

    #: Nothing that matters here changes from one guest of a request to the
    #: next, and the next are chosen among the hosts that passed.
    run_filter_once_per_request = True

    def __init__(self) -> None:
        """Read the options, so that a wrong one shows at start."""
        super().__init__()
        policies.start()
        isolation.install()
        prefilter.install()
        guru_report.register()
        request_tracking.install()
        shared = worker_state.renew()
        self._statistics = shared.statistics
        self._verdict_cache = verdict_cache.VerdictCache(
            shared.trait_cache, time.monotonic
        )

    def host_passes(self, host_state: Any, spec_obj: Any) -> bool:
        """Judge a single host; Nova's scheduler calls filter_all."""
        return bool(self.filter_all([host_state], spec_obj))

    def filter_all(
        self, filter_obj_list: Iterable[Any], spec_obj: Any
    ) -> list[Any]:
        """The hosts that pass, in the order given."""
        hosts = filter_obj_list
        if not isinstance(hosts, list):
            hosts = list(hosts)
        try:
            return self._filter(hosts, spec_obj)
        except Exception as error:
            self._statistics.add(errors=1)
            passed, deciding = fallback.passing(hosts, spec_obj)
            LOG.exception(
                'Server %(server)s: HardwareVirtFilter failed (%(error)s); '
                '%(passed)s of %(total)s hosts pass because %(deciding)s. '
                'This is a bug in hvfilter: report it with the traceback '
                'below.',
                {
                    'server': fallback.server(spec_obj),
                    'error': error,
                    'passed': len(passed),
                    'total': len(hosts),
                    'deciding': deciding,
                },
            )
            return passed

    def _filter(self, hosts: list[Any], spec: Any) -> list[Any]:
        # As Nova does it: importing this sooner makes a circle.
        from nova.scheduler import utils

        now = settings.current()
        key = verdict_cache.RequestKey(
            request.from_spec(spec),
            utils.request_is_rebuild(spec),
            now.policy,
        )
        with time_limit.within(now.times.wait_s, time.monotonic):
            return self._judge(hosts, key, now, spec)

    def _judge(
        self,
        hosts: list[Any],
        key: verdict_cache.RequestKey,
        now: settings.Settings,
        spec: Any,
    ) -> list[Any]:
        times = now.times
        tracked = request_tracking.current()
        if tracked is not None:
            tracked.candidates = hosts
        verdicts = self._verdict_cache.verdicts_for(key, times)
        accepted = verdicts.accepted
        move = _move(key, now, spec)
        # Nearly always all are. The fastest way to check it on each supported
        # Python: neither a list nor a call.
        for host in hosts:
            if host.uuid not in accepted:
                break
        else:
            if move is None:
                self._statistics.add(requests=1, hosts_passed=len(hosts))
                return hosts
        result = verdicts.filter_hosts(
            hosts, lambda each: self._verdict_cache.classes_with(each, times)
        )
        if move is not None:
            result = _narrowed(result, move, now)
        if result.against:
            try:
                self._explain(result, hosts, key, spec)
            except Exception:
                # The verdicts stand, with reasons or without.
                LOG.exception(request_tracking.UNEXPLAINED)
        self._statistics.add(requests=1, hosts_passed=len(result.passed))
        return result.passed

    def _explain(
        self,
        result: verdict_cache.FilterResult,
        candidates: list[Any],
        key: verdict_cache.RequestKey,
        spec: Any,
    ) -> None:
        against, passed_anyway = result.against, result.passed_anyway
        server = request_tracking.servers(spec)
        names = {
            verdict: [host.host for host in hosts]
            for verdict, hosts in against.items()
        }
        requirements, policy = key.requirements, key.policy
        changed = explain.by_aggregates(against, requirements, policy)
        LOG.info(
            '%s: %s; %s%s',
            server,
            explain.line(names, len(candidates), permissive=passed_anyway),
            request_tracking.context(
                requirements,
                policy,
                worker_state.current().trait_cache.peek(),
                candidates,
            ),
            _by_aggregates(changed, against.values()),
        )
        tracked = request_tracking.current()
        if tracked is not None:
            tracked.explained = True
        if LOG.isEnabledFor(logging.DEBUG):
            for verdict, hosts in against.items():
                for host in hosts:
                    LOG.debug(
                        '%s: host %s, node %s: %s',
                        server,
                        host.host,
                        host.nodename,
                        verdict,
                    )
        counts = {verdict: len(hosts) for verdict, hosts in against.items()}
        self._statistics.add(
            hosts_rejected=sum(counts.values()) - passed_anyway,
            hosts_passed_anyway=passed_anyway,
        )
        self._statistics.add_verdicts(counts)


def _move(
    key: verdict_cache.RequestKey, now: settings.Settings, spec: Any
) -> nested_moves.Move | None:
    """The move that a request is, where hosts are rejected because of it."""
    if now.nested_set_on_move is not NestedSetOnMove.REQUIRE or key.rebuild:
        return None
    if not request.source_host(spec):
        return None
    moves = worker_state.current().nested_moves
    return moves.of(spec, key.requirements, now.times)


def _narrowed(
    result: verdict_cache.FilterResult,
    move: nested_moves.Move,
    now: settings.Settings,
) -> verdict_cache.FilterResult:
    """Without the hosts on which a guest that is moved could not go on.

    A host that was rejected before, and passes since the mode for it is
    permissive, keeps its reason.
    """
    rejected = {
        id(host) for hosts in result.against.values() for host in hosts
    }
    against = {verdict: list(h) for verdict, h in result.against.items()}
    passed: list[Any] = []
    passed_anyway = result.passed_anyway
    for host in result.passed:
        uuid = uuid_of(host)
        if move.fit(uuid) is Fit.HOLDS or id(host) in rejected:
            passed.append(host)
            continue
        policy = policies.for_host(
            host.aggregates or (), now.policy, policies.warn_once
        )
        reject_unknown = policy.unreported is WhenUnknown.REJECT
        verdict = move.verdict(uuid, reject_unknown=reject_unknown)
        if verdict.accepted:
            passed.append(host)
            continue
        against.setdefault(verdict, []).append(host)
        if policy.mode is Mode.PERMISSIVE:
            passed.append(host)
            passed_anyway += 1
    return verdict_cache.FilterResult(passed, against, passed_anyway)


def _by_aggregates(changed: str, rejected: Iterable[list[Any]]) -> str:
    """What aggregate metadata decided, and which aggregates have such.

    :param changed: the metadata, '' for none
    :param rejected: the hosts; only the first of each kind are asked
    """
    if not changed:
        return ''
    some = (host for hosts in rejected for host in hosts[:_MOST_READ])
    return f'; by {changed} ({policies.aggregates_of(some)})'
