# SPDX-License-Identifier: Apache-2.0
"""Every host of tests/hosts is looked at again."""

import difflib
import functools
import json

import testtools

from hvfilter.cli.schemas import all_schemas
from hvfilter.host import snapshot
from hvfilter.host.recorded import RecordedHost
from hvfilter.model import catalogue, document
from hvfilter.model.finding import State, Strength
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.x86_readings import vendor_module
from tests import schemas
from tests.hosts.made.hosts import HOSTS
from tests.hosts.make import (
    EVIDENCE,
    EXPECTED,
    FOLDER,
    brief,
    evidence,
    report_on,
)


@functools.cache
def recorded_hosts():
    return tuple(
        (path.stem, snapshot.loads(path.read_bytes()))
        for path in sorted(FOLDER.glob('*.json'))
    )


NOWHERE_YET = {
    # KVM of no recorded host offers it.
    ('mbec', catalogue.Stage.KVM),
    # No Nova starts such guests.
    ('secure_execution', catalogue.Stage.NOVA),
}


class TestHosts(testtools.TestCase):
    maxDiff = None

    def test_at_least_as_many_as_wanted(self):
        names = {name for name, _ in recorded_hosts()}
        self.assertGreaterEqual(len(names), 25)
        self.assertEqual(names, {path.stem for path in EXPECTED.iterdir()})
        self.assertEqual(names, {path.stem for path in EVIDENCE.iterdir()})

    def test_report_when_host_is_replayed(self):
        """Each capability is in the state that the expected file tells."""
        wrong = {}
        for name, recorded in recorded_hosts():
            expected = json.loads((EXPECTED / f'{name}.json').read_text())
            found = brief(report_on(recorded))
            differing = {
                key: (expected.get(key), found.get(key))
                for key in {*expected, *found}
                if expected.get(key) != found.get(key)
            }
            if differing:
                wrong[name] = differing
        self.assertEqual({}, wrong, 'host: capability: (expected, found)')

    def test_each_capability_is_present_on_some_host(self):
        """At every decisive stage: a row that no probe observes is red."""
        missing = {
            (row.key, stage)
            for row in catalogue.CATALOGUE
            for stage in row.decisive
        }
        for _, recorded in recorded_hosts():
            report = report_on(recorded)
            missing -= {
                (key, each.stage)
                for key, _ in missing
                for each in report[key].stages
                if each.state is State.PRESENT and each.observations
            }
        self.assertEqual(NOWHERE_YET, missing)

    def test_each_flag_is_shown_on_some_host(self):
        """By the register's bit and by the word of cpuinfo."""
        missing = {
            (row.key, strength)
            for row in catalogue.CATALOGUE
            for strength in (Strength.REGISTER, Strength.FLAGS)
            if row.flag
        }
        for _, recorded in recorded_hosts():
            report = report_on(recorded)
            missing -= {
                (key, said.strength)
                for key, _ in missing
                for said in report[key].stages[0].observations
                if said.state is State.PRESENT
            }
        self.assertEqual(set(), missing)

    def test_no_vendor_has_what_is_of_another(self):
        """On a host whose maker is known, it is absent at stage cpu."""
        wrong = {}
        for name, recorded in recorded_hosts():
            look = ProbeContext(RecordedHost(recorded))
            if look.arch is not catalogue.Arch.X86 or not vendor_module(look):
                continue
            vendor = catalogue.Vendor(vendor_module(look))
            report = brief(report_on(recorded))
            wrong.update(
                {
                    f'{name}: {row.key}': report[row.key]
                    for row in catalogue.CATALOGUE
                    if vendor not in row.vendors
                    and report[row.key] != 'absent at cpu'
                }
            )
        self.assertEqual({}, wrong)

    def test_evidence_when_host_is_replayed(self):
        """Every observation is as the evidence file tells."""
        for name, recorded in recorded_hosts():
            expected = (EVIDENCE / f'{name}.txt').read_text().splitlines()
            found = evidence(report_on(recorded)).splitlines()
            differing = list(
                difflib.unified_diff(expected, found, lineterm='', n=5)
            )
            self.assertEqual([], differing[:40], name)

    def test_document_when_host_is_replayed(self):
        """Each report is of the documented form, and survives it."""
        text = all_schemas()[document.SCHEMA]
        schema = schemas.validator(json.loads(text))
        for _name, recorded in recorded_hosts():
            report = report_on(recorded)
            schema.validate(document.to_document(report))
            self.assertEqual(report, document.loads(document.dumps(report)))

    def test_snapshot_when_validated(self):
        schema = schemas.validator(snapshot.schema())
        for path in FOLDER.glob('*.json'):
            schema.validate(json.loads(path.read_text()))

    def test_snapshot_when_made_again(self):
        """What says it was made is what ``tests.hosts.made`` makes."""
        made = {
            name: recorded
            for name, recorded in recorded_hosts()
            if recorded.origin.how is snapshot.Making.MADE
        }
        self.assertEqual(set(HOSTS), set(made))
        for name, make in HOSTS.items():
            again = snapshot.loads(snapshot.dumps(make().snapshot()))
            self.assertEqual(
                again, made[name], f'{name}: run tests.hosts.make'
            )

    def test_remedy_when_a_person_could_act(self):
        """What is off by firmware, module or configuration says what to do."""
        for name, recorded in recorded_hosts():
            for finding in report_on(recorded).findings:
                stage = finding.deciding.stage.value
                state = finding.state.value
                deciding = finding.deciding.observations[:1]
                refused = any('EACCES' in said.value for said in deciding)
                if (state == 'absent' and stage != 'cpu') or (
                    state == 'unknown' and refused
                ):
                    where = f'{name}: {finding.capability} at {stage}'
                    self.assertNotEqual('', finding.remedy, where)
