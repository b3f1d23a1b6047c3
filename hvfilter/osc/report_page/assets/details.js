/* SPDX-License-Identifier: Apache-2.0 */
// What an opened row shows: why capabilities are missing, and the hosts.

const FIRST_HOSTS = 50;

// What to do about each state, as "explain" words it.
function advice(state, keys) {
  const text = data.advice[state];
  return keys.length === 1 ? text.replace('{subject}', keys[0]) : text.replace('{subject}', 'CAPABILITY');
}

const keysWith = (kind, look) => capabilities.filter((each) => looks(kind, each) === look).map((each) => each.key);

function reasonItem(look, head, text) {
  return element(
    'li',
    null,
    element('span', { class: `sign mark ${look}`, 'aria-hidden': 'true' }),
    element('span', null, element('b', null, head), ` ${text}`),
  );
}

function reasons(kind) {
  const items = Object.entries(kind.contradictions).map(([key, text]) =>
    element(
      'li',
      null,
      element('span', { class: 'sign mark alert', 'aria-hidden': 'true' }),
      element('span', null, element('b', null, key), `: ${text}${kind.seen[key] ? ` (Nova shows ${kind.seen[key]})` : ''}.`),
    ),
  );
  if (kind.report === 'stale') {
    items.push(reasonItem('stale', `Report of week ${kind.stale_weeks} is stale.`, `${advice('stale', [])}.`));
    return items;
  }
  if (kind.report === 'unreported') {
    items.push(reasonItem('unreported', 'hvfilter never reported.', `${advice('unreported', [])}.`));
    return items;
  }
  const unknown = keysWith(kind, 'unknown');
  if (unknown.length) {
    items.push(reasonItem('unknown', 'Could not determine', `${unknown.join(', ')}. ${advice('unknown', unknown)}.`));
  }
  const lacks = keysWith(kind, 'lacks');
  if (kind.report === 'valid' && lacks.length) {
    items.push(reasonItem('lacks', 'Lacks', `${lacks.join(', ')}. ${advice('lacks', lacks)}.`));
  }
  if (kind.report === 'none expected') {
    items.push(reasonItem('lacks', 'No report is expected:', `a host of ${kind.processor} runs no KVM guests.`));
  }
  return items;
}

function service(host) {
  const words = [host.state, host.status].filter(Boolean).join(', ');
  return element('td', { class: host.usable ? '' : 'alert-text' }, host.usable ? '' : '! ', words || 'not known');
}

function hostRow(host) {
  return element(
    'tr',
    null,
    element('th', { scope: 'row' }, isolated(host.name)),
    element('td', null, isolated(host.zone || 'not known')),
    element('td', { class: 'many' }, isolated(host.aggregates?.map((each) => each.name).join(', ') ?? 'not known')),
    service(host),
    element('td', { class: 'figure' }, number(host.vcpus)),
    element('td', { class: 'figure' }, memory(host.memory)),
    element('td', { class: 'uuid' }, host.uuid),
  );
}

function hostTable(listed, label) {
  const titles = ['Host', 'Zone', 'Aggregates', 'nova-compute', 'Free vCPUs', 'Free memory', 'UUID'];
  const body = element('tbody', null, ...listed.slice(0, FIRST_HOSTS).map(hostRow));
  const table = element(
    'table',
    { class: 'hosts', 'aria-label': label },
    element('thead', null, element('tr', null, ...titles.map((each) => element('th', { scope: 'col' }, each)))),
    body,
  );
  if (listed.length <= FIRST_HOSTS) return [table];
  const more = element(
    'button',
    {
      type: 'button',
      click: () => {
        body.append(...listed.slice(FIRST_HOSTS).map(hostRow));
        more.remove();
      },
    },
    `Show all ${number(listed.length)} hosts`,
  );
  return [table, more];
}

function details(row) {
  const found = reasons(row.kind);
  return [
    ...(found.length ? [element('ul', { class: 'reasons' }, ...found)] : []),
    ...hostTable(row.hosts, `Hosts of ${row.label}`),
  ];
}
