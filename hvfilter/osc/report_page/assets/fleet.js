/* SPDX-License-Identifier: Apache-2.0 */
// The hosts, kinds and capabilities that the file holds.

const data = JSON.parse(find('data').textContent);
const capabilities = data.capabilities.map((each, place) => ({ ...each, place }));
const capabilityOf = new Map(capabilities.map((each) => [each.key, each]));

const kinds = data.kinds.map((kind) => ({
  ...kind,
  processor: kind.processor || 'not known',
  states: [...kind.states].map((each) => data.states[each]),
  ruledOut: new Set(kind.ruled_out),
  count: 0,
}));

const hosts = data.hosts.name.map((name, place) => {
  const column = (key) => data.hosts[key][place];
  const kind = kinds[column('kind')];
  kind.count += 1;
  const host = {
    place,
    name,
    uuid: column('uuid'),
    kind,
    zone: data.zones[column('zone')],
    // null: this user may not see them.
    aggregates: column('aggregates')?.map((each) => data.aggregates[each]) ?? null,
    state: column('state'),
    status: column('status'),
    vcpus: column('vcpus'),
    memory: column('memory_mib'),
  };
  host.usable = host.state !== 'down' && host.status !== 'disabled';
  host.text = `${name} ${kind.processor}`.toLowerCase();
  return host;
});

// Kind 1 is the most common one.
[...kinds]
  .sort((one, other) => other.count - one.count)
  .forEach((kind, place) => {
    kind.number = place + 1;
  });

// What a cell says. The sign beside it, which differs in shape, is in the
// style: so a copied or spoken cell is a word.
const WORDS = {
  has: 'has',
  lacks: 'lacks',
  cannot: 'lacks (no such processor has it)',
  unknown: 'could not determine',
  stale: 'report is stale',
  unreported: 'never reported',
};

function looks(kind, capability) {
  const state = kind.states[capability.place];
  const ruledOut = state === 'lacks' && kind.ruledOut.has(capability.key);
  return ruledOut ? 'cannot' : state;
}

// Capabilities that some host has or could not determine, as in "summary".
const common = capabilities.filter((each) =>
  kinds.some((kind) => ['has', 'unknown'].includes(kind.states[each.place])),
);
