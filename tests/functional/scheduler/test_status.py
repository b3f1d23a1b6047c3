# SPDX-License-Identifier: Apache-2.0
"""hvfilter-status, on a real Nova and a real Placement."""

import datetime
import time
from unittest import mock

import nova.conf
from oslo_upgradecheck.upgradecheck import Code

from hvfilter.model.catalogue import REPORTED_TRAIT
from hvfilter.model.week import Week
from hvfilter.placement import client, connect, errors, fleet
from hvfilter.scheduler import upgrade_checks
from hvfilter.scheduler.checks import cloud, configuration, requests
from tests.fakes.compute import ComputeHost
from tests.functional import base, findings

CONF = nova.conf.CONF


class StatusTest(base.CloudTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.start_hosts(ComputeHost('one'), ComputeHost('two'))

    def publish_now(self, host: str, weeks_ago: int = 0) -> None:
        now = Week.at(time.time())
        week = Week(now.monday - datetime.timedelta(weeks=weeks_ago))
        self.publish(host, findings.report(findings.INTEL), week)

    def prepared(self) -> None:
        conf = self.agent_conf('one')
        placement = client.PlacementClient(connect.transport_of(conf))
        fleet.create_names(placement)

    def is_well(self, check) -> None:
        result = check()
        self.assertEqual((Code.SUCCESS, None), (result.code, result.details))

    def finds(self, code: Code, check, *words: str) -> None:
        result = check()
        self.assertEqual(code, result.code, result.details)
        for word in words:
            self.assertIn(word, result.details)

    def test_everything_is_in_place(self) -> None:
        self.prepared()
        for host in ('one', 'two'):
            self.publish_now(host)
        self.flavor(**{'hvfilter:nested': 'required'})
        for title, check in upgrade_checks.Checks()._upgrade_checks:
            result = check(None)
            if title == 'Options without effect':
                self.assertIn('all_weighers', result.details)
                continue
            self.assertEqual(Code.SUCCESS, result.code, result.details)

    def test_filter_is_not_enabled(self) -> None:
        self.is_well(configuration.filter_enabled)
        self.set_filters(())
        self.finds(
            Code.FAILURE,
            configuration.filter_enabled,
            'available_filters = hvfilter.scheduler.all_filters',
            'HardwareVirtFilter in enabled_filters',
        )

    def test_filters_of_nova_are_not_available(self) -> None:
        """They are the default, and whoever sets the option loses them."""
        for available, words in (
            (['hvfilter.scheduler.all_filters'], 'ComputeFilter'),
            (['hvfilter.scheduler.all_filters', 'no.such'], 'no.such'),
        ):
            self.flags(available_filters=available, group='filter_scheduler')
            self.finds(
                Code.FAILURE,
                configuration.filter_enabled,
                'will not start',
                words,
            )

    def test_prefilter_without_the_filter(self) -> None:
        self.set_filters(())
        self.flags(prefilter=True, group='hvfilter')
        self.finds(Code.WARNING, configuration.no_effect, 'prefilter')

    def test_filter_cannot_be_loaded(self) -> None:
        with mock.patch(
            'hvfilter.scheduler.all_filters', side_effect=ImportError('no x')
        ):
            self.finds(Code.FAILURE, configuration.filter_loads, 'no x')

    def test_options_contradict_one_another(self) -> None:
        self.is_well(configuration.options)
        self.flags(required=['vtx', 'npt'], group='hvfilter')
        self.finds(Code.FAILURE, configuration.options, 'vtx,npt')

    def test_extra_specs_are_not_validated(self) -> None:
        self.is_well(configuration.validator)
        with mock.patch.dict(
            'nova.api.validation.extra_specs.validators.VALIDATORS', clear=True
        ):
            self.finds(Code.WARNING, configuration.validator, 'nova-api')

    def test_placement_is_away_or_forbids(self) -> None:
        self.is_well(cloud.reachable)
        for error in (
            errors.Unreachable('No answer', 'Look at its log.'),
            errors.Forbidden('Not permitted', 'Use another role.'),
        ):
            with mock.patch.object(
                client.PlacementClient, '_send', side_effect=error
            ):
                for check in (cloud.reachable, cloud.names, cloud.hosts):
                    self.finds(Code.FAILURE, check, error.remedy)

    def test_names_are_missing(self) -> None:
        self.finds(Code.WARNING, cloud.names, 'hvfilter prepare')
        self.prepared()
        self.is_well(cloud.names)

    def test_hosts_that_do_not_report(self) -> None:
        self.finds(Code.WARNING, cloud.hosts, '2 of 2', '(one, two)')
        self.publish_now('one')
        self.finds(Code.WARNING, cloud.hosts, '1 of 2', 'never', '(two)')
        self.publish_now('two', weeks_ago=5)
        self.finds(Code.WARNING, cloud.hosts, '1 of 2', 'last in', '(two)')
        self.publish_now('two')
        self.is_well(cloud.hosts)

    def test_nova_lost_its_mark(self) -> None:
        self.publish_now('one')
        self.add_traits('two', 'OWNER_NOVA')
        if 'OWNER_NOVA' in self.traits('one'):
            self.is_well(cloud.owner)
            self.remove_traits('one', 'OWNER_NOVA')
        self.finds(Code.FAILURE, cloud.owner, '(one)', 'Restart')
        self.add_traits('one', 'OWNER_NOVA')
        self.assertIn(REPORTED_TRAIT, self.traits('one'))
        self.is_well(cloud.owner)

    def test_flavors_that_mean_nothing(self) -> None:
        flavor = self.flavor(**{'hvfilter:nested': 'required'})
        self.is_well(requests.flavors)
        with mock.patch(
            'nova.api.openstack.compute.flavors_extraspecs.validators.validate'
        ):
            # As Nova before 2.86 takes it.
            self.admin_api.post_extra_spec(
                flavor, {'extra_specs': {'hvfilter:nestd': 'required'}}
            )
        self.finds(Code.WARNING, requests.flavors, 'hvfilter:nested?')

    def test_aggregates_that_mean_nothing(self) -> None:
        self.is_well(requests.aggregates)
        aggregate = self.admin_api.post_aggregate(
            {'aggregate': {'name': 'gold'}}
        )
        self.admin_api.post_aggregate_action(
            aggregate['id'],
            {'set_metadata': {'metadata': {'hvfilter:required': 'nestd'}}},
        )
        self.finds(Code.WARNING, requests.aggregates, 'gold', 'nestd')

    def test_check_that_breaks_hides_no_other(self) -> None:
        with mock.patch.object(
            client.PlacementClient, 'uuids_with', side_effect=ValueError('x')
        ):
            found = {
                title: check(None)
                for title, check in upgrade_checks.Checks()._upgrade_checks
            }
        self.assertIn('ValueError: x', found['Placement'].details)
        self.assertEqual(Code.SUCCESS, found['Flavors'].code)
