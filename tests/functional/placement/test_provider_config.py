# SPDX-License-Identifier: Apache-2.0
"""Our provider.yaml, read by nova-compute's own loader."""

from pathlib import Path

import fixtures
import testtools
from nova.compute import provider_config as nova_provider_config

from hvfilter.conf import agent
from hvfilter.model.catalogue import CATALOGUE, REPORTED_TRAIT
from hvfilter.publish import provider_config
from hvfilter.rules import traits
from tests.fakes import reports


class LoaderTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = Path(self.useFixture(fixtures.TempDir()).path)
        conf = agent.load([])
        path = str(self.folder / 'hvfilter.yaml')
        conf.set_override('provider_config_file', path, 'hvfilter')
        self.publisher = provider_config.ProviderConfigPublisher(conf)

    def loaded(self):
        """As nova-compute does when it starts."""
        read = nova_provider_config.get_provider_configs(str(self.folder))
        (provider,) = read.values()
        self.assertEqual({'uuid': '$COMPUTE_NODE'}, provider['identification'])
        return set(provider['traits']['additional'])

    def publish(self, *args):
        self.publisher.publish(reports.context(*args))

    def test_load_when_nothing_is_known(self):
        """Nova 27 to 34 pass over a provider to which nothing is added."""
        self.publish()
        folder = str(self.folder)
        self.assertEqual({}, nova_provider_config.get_provider_configs(folder))

    def test_load_when_all_is_there(self):
        keys = [each.key for each in CATALOGUE]
        self.publish(keys)
        desired = traits.desired(reports.report(keys))
        self.assertEqual(desired.present, self.loaded())

    def test_load_when_something_was_left_behind(self):
        self.publish(['kvm', 'ept'])
        self.publish(['kvm'], ['ept'])
        self.assertEqual(
            {'CUSTOM_HVFILTER_KVM', REPORTED_TRAIT}, self.loaded()
        )
