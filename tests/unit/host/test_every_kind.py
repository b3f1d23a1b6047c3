# SPDX-License-Identifier: Apache-2.0
"""What holds for each kind of question, also for one that is added later."""

import json

import testtools
from hypothesis import given
from hypothesis import strategies as st

from hvfilter.host import base, snapshot
from hvfilter.host.answers import Refusal
from hvfilter.host.cached import CachedHost
from hvfilter.host.layered import LayeredHost
from hvfilter.host.question import Kind
from hvfilter.host.recorded import RecordedHost
from hvfilter.host.recording import RecordingHost
from hvfilter.host.redact import Redaction
from hvfilter.host.snapshot import Making, Provenance
from tests import questions, schemas
from tests.fakes.host import AnsweringHost

SCHEMA = schemas.validator(snapshot.schema())
ORIGIN = Provenance(Making.RECORDED, 'a test')


def outcome(host, question):
    """The answer, or the denial as a person reads it."""
    try:
        return host.ask(question)
    except base.Denied as denied:
        return str(denied)


def outcomes(host, asked):
    return {question: outcome(host, question) for question in asked}


def recorded(answers, redaction=None):
    """The snapshot of a host that was asked all that it answers."""
    host = RecordingHost(AnsweringHost(answers), redaction)
    outcomes(host, answers)
    return host.snapshot(ORIGIN)


class EveryKindTest(testtools.TestCase):
    @given(questions.ANSWERS)
    def test_same_answers_when_a_recording_is_replayed(self, answers):
        text = snapshot.dumps(recorded(answers))
        SCHEMA.validate(json.loads(text))
        replayed = RecordedHost(snapshot.loads(text))
        self.assertEqual(
            outcomes(AnsweringHost(answers), answers),
            outcomes(replayed, answers),
        )

    @given(questions.ANSWERS, st.randoms())
    def test_same_answers_when_recordings_share_them(self, answers, dice):
        shares = [{}, {}, {}]
        for question, answer in answers.items():
            dice.choice(shares)[question] = answer
        layered = LayeredHost([RecordedHost(recorded(s)) for s in shares])
        self.assertEqual(
            outcomes(AnsweringHost(answers), answers),
            outcomes(layered, answers),
        )

    @given(questions.ANSWERS)
    def test_asked_once_when_cached(self, answers):
        host = AnsweringHost(dict(answers))
        cached = CachedHost(host)
        first = outcomes(cached, answers)
        host.answers.clear()
        self.assertEqual(first, outcomes(cached, answers))
        self.assertEqual(outcomes(AnsweringHost(answers), answers), first)

    @given(questions.ANSWERS)
    def test_no_name_of_the_machine_when_redacted(self, answers):
        redacted = recorded(answers, Redaction([questions.NAME]))
        self.assertNotIn(questions.NAME, snapshot.dumps(redacted))

    @given(questions.ANSWERS)
    def test_the_same_when_redacted_again(self, answers):
        redaction = Redaction([questions.NAME])
        once = recorded(answers, redaction)
        self.assertEqual(once, redaction.snapshot(once))
        self.assertEqual(once, snapshot.loads(snapshot.dumps(once)))

    @given(questions.ANSWERS)
    def test_denials_stay_when_redacted(self, answers):
        plain, redacted = recorded(answers), recorded(answers, Redaction())
        for question, answer in redacted.answers.items():
            if isinstance(plain.answers[question], Refusal):
                self.assertEqual(plain.answers[question].error, answer.error)
        left_out = plain.answers.keys() - redacted.answers.keys()
        self.assertLessEqual({q.kind for q in left_out}, {Kind.MSR})
