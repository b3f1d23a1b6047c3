# SPDX-License-Identifier: Apache-2.0
"""Placement fails in the middle: it found candidates, then falls silent."""

from tests.fakes.placement import looks_up_holders
from tests.functional import landing

NESTED = {'hvfilter:nested': 'required'}


class OutageTest(landing.LandingTestCase):
    """Our question to Placement fails, Nova's own was answered."""

    def test_plain_guest_lands_when_nothing_is_known(self) -> None:
        """The operator's default is let pass: an outage of Placement must
        not stop the cloud."""
        with self.gate.refusing(looks_up_holders):
            server = self.boot()
        self.assertTrue(self.gate.refused)
        self.assertEqual('tcg', self.host_of(server))

    def test_nested_guest_is_refused_when_nothing_is_known(self) -> None:
        """What somebody asks for in so many words is never guessed."""
        log = self.log_of('hvfilter')
        with self.gate.refusing(looks_up_holders):
            server = self.boot(self.flavor(**NESTED), status='ERROR')
        self.assertIn('No valid host', server['fault']['message'])
        self.assertIn('Placement unreachable', log.output)

    def test_guests_land_as_ever_when_it_is_over(self) -> None:
        self.flags(retry_s=0.0, group='hvfilter')
        with self.gate.refusing(looks_up_holders):
            self.boot(self.flavor(**NESTED), status='ERROR')
        self.land(NESTED, among=landing.NESTED_HOSTS)

    def test_guests_land_as_ever_when_it_was_known_before(self) -> None:
        self.land(NESTED, among=landing.NESTED_HOSTS)
        self.flags(refresh_s=0.0, group='hvfilter')
        with self.gate.refusing(looks_up_holders):
            self.land(NESTED, among=landing.NESTED_HOSTS)
        self.assertTrue(self.gate.refused)

    def test_scheduler_lives_when_placement_talks_nonsense(self) -> None:
        with self.gate.refusing(looks_up_holders, '200 OK'):
            self.boot_any(self.flavor(**NESTED))
        self.boot(image=self.image(img_hv_type='qemu'))
