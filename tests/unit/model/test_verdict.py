# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.model.verdict import Cause, Reason


class TestReason(testtools.TestCase):
    def test_asker_named_when_known(self):
        reason = Reason(Cause.LACKS, 'nested', 'hvfilter:nested=required')
        self.assertEqual('lacks nested', reason.summary)
        self.assertEqual(
            'lacks nested (hvfilter:nested=required)', str(reason)
        )

    def test_summary_alone_when_nobody_asked(self):
        self.assertEqual('unreported', str(Reason(Cause.UNREPORTED, '')))

    def test_words_for_every_cause(self):
        summaries = [Reason(cause, 'x').summary for cause in Cause]
        self.assertEqual(len(Cause), len(set(summaries)))
        self.assertTrue(all(summaries))
