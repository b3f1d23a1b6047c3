# SPDX-License-Identifier: Apache-2.0
"""Every host of tests/hosts is looked at again."""

import importlib.resources
import json

import jsonschema
import testtools

from hvfilter import host, model
from hvfilter.host import snapshot
from hvfilter.host.recorded import RecordedHost
from hvfilter.model import document
from hvfilter.report.examine import examine
from tests.hosts.made.hosts import HOSTS
from tests.hosts.make import EXPECTED, FOLDER, brief


def schema_of(package, name):
    text = importlib.resources.files(package).joinpath(name).read_text()
    return jsonschema.Draft202012Validator(json.loads(text))


def recorded_hosts():
    for path in sorted(FOLDER.glob('*.json')):
        yield path.stem, snapshot.loads(path.read_bytes())


class TestHosts(testtools.TestCase):
    maxDiff = None

    def test_report_when_host_is_replayed(self):
        """Each capability is in the state that the expected file tells."""
        wrong = {}
        for name, recorded in recorded_hosts():
            expected = json.loads((EXPECTED / f'{name}.json').read_text())
            found = brief(examine(RecordedHost(recorded)))
            differing = {
                key: (expected.get(key), found.get(key))
                for key in {*expected, *found}
                if expected.get(key) != found.get(key)
            }
            if differing:
                wrong[name] = differing
        self.assertEqual({}, wrong, 'host: capability: (expected, found)')

    def test_document_when_host_is_replayed(self):
        """Each report is of the documented form, and survives it."""
        schema = schema_of(model, document.SCHEMA_FILE)
        for _name, recorded in recorded_hosts():
            report = examine(RecordedHost(recorded))
            schema.validate(document.to_document(report))
            self.assertEqual(report, document.loads(document.dumps(report)))

    def test_snapshot_when_validated(self):
        schema = schema_of(host, snapshot.SCHEMA_FILE)
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
            for finding in examine(RecordedHost(recorded)).findings:
                stage = finding.deciding.stage.value
                state = finding.state.value
                deciding = finding.deciding.observations[:1]
                refused = any('EACCES' in said.value for said in deciding)
                if (state == 'absent' and stage != 'cpu') or (
                    state == 'unknown' and refused
                ):
                    where = f'{name}: {finding.capability} at {stage}'
                    self.assertNotEqual('', finding.remedy, where)
