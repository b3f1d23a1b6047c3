# SPDX-License-Identifier: Apache-2.0
"""HardwareVirtFilter: only hosts that can run the guest as it is asked."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from nova.scheduler import filters
from oslo_log import log as logging

from hvfilter.placement import patience
from hvfilter.placement.holders import Ages
from hvfilter.rules import explain
from hvfilter.scheduler import (
    followed,
    isolation,
    knowledge,
    meditation,
    policies,
    prefilter,
    request,
    rulings,
    settings,
    unjudged,
)

LOG = logging.getLogger(__name__)


# Nova has no types to check against.
class HardwareVirtFilter(filters.BaseHostFilter):  # type: ignore[misc]
    """Rejects hosts that cannot run a KVM guest as it is requested.

    Compares what flavor, image and policy ask for with the traits that
    "hvfilter publish" gave to the hosts' resource providers.

    Runs on rebuild too, and then judges only what the image asks for: the
    guest stays on its host, where flavor and policy were judged when it
    landed. No exception leaves it: without knowledge the policy for such
    times decides.
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
        meditation.register()
        followed.install()
        shared = knowledge.renew()
        self._statistics = shared.statistics
        self._docket = rulings.Docket(shared.holders, time.monotonic)

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
            passed, deciding = unjudged.passing(hosts, spec_obj)
            LOG.exception(
                'Server %(server)s: HardwareVirtFilter failed (%(error)s); '
                '%(passed)s of %(total)s hosts pass because %(deciding)s. '
                'This is a bug in hvfilter: report it with the traceback '
                'below.',
                {
                    'server': unjudged.server(spec_obj),
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
        question = rulings.Question(
            request.asked(spec),
            utils.request_is_rebuild(spec),
            now.policy,
        )
        ages = now.ages
        with patience.of(ages.wait_s, time.monotonic):
            return self._judge(hosts, question, ages, spec)

    def _judge(
        self,
        hosts: list[Any],
        question: rulings.Question,
        ages: Ages,
        spec: Any,
    ) -> list[Any]:
        whole = followed.current()
        if whole is not None:
            whole.candidates = hosts
        case = self._docket.case(question, ages)
        accepted = case.accepted
        # Nearly always all are. Of all ways to find out the fastest, on each
        # supported Python: neither a list nor a call.
        for host in hosts:
            if host.uuid not in accepted:
                break
        else:
            self._statistics.add(requests=1, hosts_passed=len(hosts))
            return hosts
        found = case.sift(
            hosts, lambda each: self._docket.table_of(each, ages)
        )
        if found.against:
            try:
                self._explain(found, hosts, question, spec)
            except Exception:
                # The verdicts stand, with reasons or without.
                LOG.exception(followed.UNEXPLAINED)
        self._statistics.add(requests=1, hosts_passed=len(found.passed))
        return found.passed

    def _explain(
        self,
        found: rulings.Sifted,
        candidates: list[Any],
        question: rulings.Question,
        spec: Any,
    ) -> None:
        against, let_pass = found.against, found.let_pass
        server = followed.servers(spec)
        names = {
            verdict: [host.host for host in hosts]
            for verdict, hosts in against.items()
        }
        requirements, policy = question.requirements, question.policy
        changed = explain.by_aggregates(against, requirements, policy)
        LOG.info(
            '%s: %s; %s%s',
            server,
            explain.line(names, len(candidates), permissive=let_pass),
            followed.context(
                requirements,
                policy,
                knowledge.current().holders.peek(),
                candidates,
            ),
            f'; by aggregate metadata: {changed}' if changed else '',
        )
        whole = followed.current()
        if whole is not None:
            whole.explained = True
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
            hosts_rejected=sum(counts.values()) - let_pass,
            hosts_let_pass=let_pass,
        )
        self._statistics.add_verdicts(counts)
