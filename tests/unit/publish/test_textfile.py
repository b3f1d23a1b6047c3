# SPDX-License-Identifier: Apache-2.0

import dataclasses
from pathlib import Path

import fixtures
import testtools
from prometheus_client import parser

from hvfilter.conf import agent
from hvfilter.model.catalogue import CATALOGUE
from hvfilter.model.nested_registers import Registers
from hvfilter.model.problem import Problem
from hvfilter.publish import base, metrics, previous_metrics, textfile
from hvfilter.rules import override
from tests.fakes import reports

WELL = base.Outcome(
    'placement', 'x', requests=2, conflicts=1, provider='a-uuid'
)
ILL = base.Outcome(
    'placement',
    '',
    problem=Problem('Placement says "no".\n' * 99, 'x', code='unreachable'),
)


class PublisherTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        folder = Path(self.useFixture(fixtures.TempDir()).path)
        self.path = folder / 'hvfilter.prom'
        self.conf = agent.load([])
        self.conf.set_override('textfile', str(self.path), 'hvfilter')
        self.publisher = textfile.TextfilePublisher(self.conf)

    def publish(self, *args, **more):
        return self.publisher.publish(reports.context(*args, **more))

    def samples(self, text=None):
        text = self.path.read_text() if text is None else text
        return {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in parser.text_string_to_metric_families(text)
            for sample in family.samples
        }

    def names(self):
        return {key[0] for key in self.samples()}

    def test_publish_when_all_is_well(self):
        self.publish(['kvm'], ['ept'], previous=(WELL,))
        found = self.samples()
        self.assertEqual(
            len(CATALOGUE),
            sum(1 for key in found if key[0] == 'hvfilter_capability_info'),
        )
        name = 'hvfilter_capability_info'
        self.assertEqual(1, found[name, 'kvm', 'nova', 'present'])
        self.assertEqual(1, found[name, 'absent', 'cpu', 'ept'])
        self.assertEqual(
            1_700_000_000, found['hvfilter_probe_timestamp_seconds',]
        )
        for metric, value in (
            ('hvfilter_publish_timestamp_seconds', 1_700_000_060),
            ('hvfilter_publish_success_timestamp_seconds', 1_700_000_060),
            ('hvfilter_publish_success', 1),
            ('hvfilter_publish_requests', 2),
            ('hvfilter_publish_conflicts', 1),
            ('hvfilter_publish_attempts_total', 1),
            ('hvfilter_publish_failures_total', 0),
        ):
            self.assertEqual(value, found[metric, 'placement'])
        self.assertEqual(1, found['hvfilter_provider_info', 'a-uuid'])
        self.assertEqual(0o644, self.path.stat().st_mode & 0o777)

    def test_publish_when_guests_get_virtualization(self):
        name = 'hvfilter_nested_set_info'
        self.publish(['nested'], nested_set=Registers.svm(0x21))
        trait = 'CUSTOM_HVFILTER_NESTED_SET_SVM_21'
        self.assertEqual(1, self.samples()[name, trait])
        self.publish([], ['nested'])
        self.assertNotIn(name, {key[0] for key in self.samples()})

    def test_publish_when_another_failed(self):
        self.publish(['kvm'], previous=(WELL,))
        self.publish(['kvm'], previous=(ILL,), now_s=1_700_009_999.0)
        found = self.samples()
        for metric, value in (
            ('hvfilter_publish_timestamp_seconds', 1_700_009_999),
            ('hvfilter_publish_success_timestamp_seconds', 1_700_000_060),
            ('hvfilter_publish_success', 0),
        ):
            self.assertEqual(value, found[metric, 'placement'])
        # A word, not prose: one series a cause.
        name = 'hvfilter_publish_error_info'
        self.assertEqual(1, found[name, 'placement', 'unreachable'])
        self.assertNotIn('Placement says', self.path.read_text())

    def test_publish_when_it_never_succeeded(self):
        """An alert on age sees this host from its first run on."""
        self.publish(['kvm'], previous=(ILL,))
        name = 'hvfilter_publish_success_timestamp_seconds'
        self.assertEqual(0, self.samples()[name, 'placement'])
        self.publish(['kvm'], previous=(WELL,))
        self.publish(['kvm'], previous=(ILL,), now_s=1_700_009_999.0)
        self.assertEqual(1_700_000_060, self.samples()[name, 'placement'])

    def test_publish_when_clock_was_set_back(self):
        self.publish(['kvm'], previous=(WELL,))
        self.publish(['kvm'], previous=(WELL,), now_s=1.0)
        found = self.samples()
        name = 'hvfilter_publish_success_timestamp_seconds'
        self.assertEqual(1, found[name, 'placement'])

    def test_publish_when_old_file_is_garbage(self):
        for garbage in (b'\xff\xfe', b'x{', b'a b c\n'):
            self.path.write_bytes(garbage)
            self.publish(['kvm'], previous=(WELL,))
            self.assertIn(
                ('hvfilter_publish_success', 'placement'), self.samples()
            )

    def test_publish_when_finding_is_overruled(self):
        context = reports.context([], ['kvm'])
        report = override.apply(
            context.report, override.parse(['kvm=present'], 'x')
        )
        self.publisher.publish(dataclasses.replace(context, report=report))
        found = self.samples()
        self.assertIn(
            ('hvfilter_capability_overruled_info', 'absent', 'kvm'), found
        )
        self.assertIn(
            ('hvfilter_capability_info', 'cpu', 'kvm', 'present'), found
        )

    def test_attempts_are_counted_from_run_to_run(self):
        for outcome in (WELL, ILL, ILL, WELL):
            self.publish(['kvm'], previous=(outcome,))
        # A run to another publisher loses no count.
        self.publish(['kvm'])
        found = self.samples()
        self.assertEqual(
            4, found['hvfilter_publish_attempts_total', 'placement']
        )
        self.assertEqual(
            2, found['hvfilter_publish_failures_total', 'placement']
        )
        self.path.unlink()
        self.publish(['kvm'], previous=(ILL,))
        found = self.samples()
        self.assertEqual(
            1, found['hvfilter_publish_attempts_total', 'placement']
        )

    def test_last_present_is_kept_until_it_is_back(self):
        name = 'hvfilter_capability_last_present_timestamp_seconds'
        self.publish(['kvm', 'nested'])
        self.assertNotIn(name, self.names())
        # Unknown first, then absent: what is known of it is not lost.
        for present, absent in ((['kvm'], []), (['kvm'], ['nested'])):
            self.publish(present, absent)
            found = self.samples()
            self.assertEqual(1_700_000_000, found[name, 'nested'])
            self.assertNotIn((name, 'kvm'), found)
        self.publish(['kvm', 'nested'])
        self.assertNotIn(name, self.names())

    def test_failed_probes_are_named(self):
        context = reports.context(['kvm'])
        report = dataclasses.replace(context.report, failed_probes=('Iommu',))
        self.publisher.publish(dataclasses.replace(context, report=report))
        self.assertEqual(
            1, self.samples()['hvfilter_probe_error_info', 'Iommu']
        )

    def test_table_has_every_metric_and_its_labels(self):
        context = reports.context(
            ['kvm', 'nested'],
            previous=(WELL, ILL),
            nested_set=Registers.svm(0x21),
        )
        withdrawn = metrics.WITHDRAWN
        given = [
            metric
            for metric, _ in textfile.families(
                context, previous_metrics.PreviousMetrics()
            )
        ]
        self.assertEqual(
            {metric.name for metric in metrics.HOST},
            {metric.name for metric in (*given, withdrawn)},
        )
        self.assertEqual(len(metrics.HOST), len(set(metrics.HOST)))
        for metric in metrics.HOST:
            self.assertEqual(metric.counter, metric.name.endswith('_total'))

    def test_preview_when_asked(self):
        outcome = self.publisher.publish(
            reports.context(['kvm']), dry_run=True
        )
        self.assertFalse(self.path.exists())
        self.publish(['kvm'])
        self.assertEqual(outcome.content, self.path.read_text())

    def test_publish_when_name_is_not_read(self):
        self.conf.set_override('textfile', '/tmp/x.txt', 'hvfilter')
        failed = self.assertRaises(Problem, self.publish)
        self.assertIn('.prom', str(failed))

    def test_withdraw_when_published(self):
        self.publish(['kvm'])
        self.publisher.withdraw(base.Identity(), dry_run=True)
        self.assertTrue(self.path.exists())
        self.assertIn('hvfilter_build_info', self.names())
        self.assertTrue(self.publisher.withdraw(base.Identity()).changed)
        self.assertEqual(
            {'hvfilter_withdrawn_timestamp_seconds'}, self.names()
        )
        self.assertFalse(self.publisher.withdraw(base.Identity()).changed)
        self.publish(['kvm'])
        self.assertNotIn('hvfilter_withdrawn_timestamp_seconds', self.names())

    def test_withdraw_when_never_published(self):
        self.assertFalse(self.publisher.withdraw(base.Identity()).changed)
        self.assertFalse(self.path.exists())
