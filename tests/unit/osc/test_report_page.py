# SPDX-License-Identifier: Apache-2.0

import base64
import hashlib
import html.parser
import json

import testtools

from hvfilter.model.catalogue import BY_KEY, REPORTED_TRAIT
from hvfilter.osc import capability_counts
from hvfilter.osc.compute import Hypervisor
from hvfilter.osc.fleet import Host
from hvfilter.osc.report_page import content, page
from hvfilter.placement.capacity import Free
from hvfilter.rules import capability_state

ABOUT = content.About('Hosts', 1_795_000_000.0, '1.0.0', 2)


def host(name, *keys, week='', vendor='Intel', flags=('vmx',), **more):
    names = frozenset([REPORTED_TRAIT, *(BY_KEY[k].trait for k in keys)])
    info = json.dumps(
        {'arch': 'x86_64', 'vendor': vendor, 'features': list(flags)}
    )
    hypervisor = Hypervisor(
        f'uuid-{name}', name, name, 'QEMU', True, True, info
    )
    return Host(
        f'uuid-{name}',
        name,
        capability_state.advertised(names, week, hypervisor.facts),
        names,
        hypervisor,
        **more,
    )


class Elements(html.parser.HTMLParser):
    """Every element with its attributes and text."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.open = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs), []))
        self.open = True

    def handle_data(self, data):
        if self.open:
            self.found[-1][2].append(data)

    def handle_endtag(self, tag):
        self.open = False

    def of(self, tag):
        return [
            (attributes, ''.join(text))
            for name, attributes, text in self.found
            if name == tag
        ]


class ContentTest(testtools.TestCase):
    def document(self, *hosts, free=None, about=ABOUT):
        return content.document(hosts, free or {}, about)

    def test_hosts_that_are_alike_share_a_kind(self):
        found = self.document(
            host('a', 'kvm'), host('b', 'kvm'), host('c', 'kvm', 'nested')
        )
        self.assertEqual([0, 0, 1], found['hosts']['kind'])
        self.assertEqual(2, len(found['kinds']))

    def test_kinds_differ_when_nova_shows_something_else(self):
        found = self.document(host('a', 'kvm'), host('b', 'kvm', flags=()))
        self.assertEqual([0, 1], found['hosts']['kind'])
        self.assertEqual('cpu_info: vmx', found['kinds'][0]['seen']['vtx'])
        self.assertNotIn('vtx', found['kinds'][1]['seen'])

    def test_contradiction_is_kept_with_its_capability(self):
        found = self.document(host('a', 'kvm', 'amdv'))
        kind = found['kinds'][0]
        self.assertIn('Nova rules it out', kind['contradictions']['amdv'])
        self.assertIn('amdv', kind['ruled_out'])

    def test_traits_of_nova_count_where_placement_shows_them(self):
        free = Free({'VCPU': (4,)}, frozenset({'HW_CPU_X86_AMD_SEV'}))
        found = self.document(
            host('a', vendor='AMD', flags=()), free={'uuid-a': free}
        )
        self.assertIn(
            'does not work', found['kinds'][0]['contradictions']['sev']
        )

    def test_stale_report_has_its_weeks(self):
        found = self.document(host('a', 'kvm', week='2026W40'))
        self.assertEqual('stale', found['kinds'][0]['report'])
        self.assertEqual('2026W40', found['kinds'][0]['stale_weeks'])
        number = str(found['states'].index('stale'))
        self.assertEqual({number}, set(found['kinds'][0]['states']))

    def test_advice_exists_for_each_state_but_has(self):
        found = self.document()
        self.assertEqual(set(found['states']) - {'has'}, set(found['advice']))

    def test_nothing_is_free_on_a_host_that_may_not_be_used(self):
        free = {'uuid-a': Free({'VCPU': (4,), 'MEMORY_MB': (8,)}, frozenset())}
        usable = host('a', 'kvm')
        found = self.document(usable, free=free)['hosts']
        self.assertEqual(([4], [8]), (found['vcpus'], found['memory_mib']))
        down = Hypervisor('uuid-a', 'a', 'a', 'QEMU', False, True)
        other = Host('uuid-a', 'a', usable.known, hypervisor=down)
        self.assertFalse(capability_counts.available(other))
        found = self.document(other, free=free)['hosts']
        self.assertEqual(([0], [0]), (found['vcpus'], found['memory_mib']))

    def test_text_from_the_cloud_is_made_printable(self):
        found = self.document(host('a\u202eb\x1b', zone='z\n'))
        self.assertEqual(['a\\u202eb\\x1b'], found['hosts']['name'])
        self.assertEqual(['z\\n'], found['zones'])


class PageTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.content = content.document(
            [host('</script><script>', 'kvm')], {}, ABOUT
        )
        self.text = page.render(self.content)
        self.elements = Elements(self.text)

    def test_data_are_what_was_given(self):
        (data, script) = self.elements.of('script')
        self.assertEqual('application/json', data[0]['type'])
        self.assertNotIn('<', data[1])
        self.assertEqual(self.content, json.loads(data[1]))
        self.assertEqual({}, script[0])

    def test_policy_permits_what_is_in_the_page_and_nothing_else(self):
        [policy] = [
            attributes['content']
            for attributes, _ in self.elements.of('meta')
            if attributes.get('http-equiv') == 'Content-Security-Policy'
        ]
        self.assertTrue(policy.startswith("default-src 'none'; "))
        self.assertNotIn('unsafe', policy)
        for tag, directive in (
            ('style', 'style-src'),
            ('script', 'script-src'),
        ):
            text = self.elements.of(tag)[-1][1]
            digest = hashlib.sha256(text.encode()).digest()
            expected = base64.b64encode(digest).decode()
            self.assertIn(f"{directive} 'sha256-{expected}'", policy)

    def test_policy_stands_before_what_it_rules(self):
        place = self.text.index
        self.assertLess(place('Content-Security-Policy'), place('<style'))

    def test_page_refers_to_nothing_outside(self):
        for tag, attributes, _ in self.elements.found:
            for name in ('src', 'href', 'action', 'data', 'srcset'):
                self.assertIn(attributes.get(name, '#')[0], '#', tag)
        for word in ('http://', 'https://', '@import', 'url('):
            self.assertNotIn(word, self.text)

    def test_same_content_gives_the_same_page(self):
        self.assertEqual(self.text, page.render(self.content))

    def test_title_is_escaped(self):
        about = content.About('<b>&"$data', 0.0, '1', 2)
        text = page.render(content.document([], {}, about))
        self.assertEqual('<b>&"$data', Elements(text).of('title')[0][1])
        self.assertNotIn('<b>&"', text)
