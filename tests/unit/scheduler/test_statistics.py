# SPDX-License-Identifier: Apache-2.0

import threading

import testtools

from hvfilter.model.verdict import Cause, Reason, Verdict
from hvfilter.scheduler.statistics import Statistics


class StatisticsTest(testtools.TestCase):
    def test_reasons_are_counted_by_cause_and_capability(self):
        statistics = Statistics()
        lacks = Verdict(
            (Reason(Cause.LACKS, 'nested'), Reason(Cause.UNREPORTED, ''))
        )
        odd = Verdict((Reason(Cause.NOT_UNDERSTOOD, 'hvfilter:a=b c'),))
        statistics.add_verdicts({lacks: 3, odd: 2})
        self.assertEqual(
            {
                'rejected.lacks': 3,
                'rejected.lacks.nested': 3,
                'rejected.unreported': 3,
                'rejected.not_understood': 2,
            },
            statistics.counts(),
        )

    def test_nothing_is_lost_when_many_count(self):
        statistics = Statistics()
        threads = [
            threading.Thread(
                target=lambda: [statistics.add(requests=1) for _ in range(500)]
            )
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({'requests': 4000}, statistics.counts())
