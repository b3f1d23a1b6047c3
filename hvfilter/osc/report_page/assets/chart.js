/* SPDX-License-Identifier: Apache-2.0 */
// How many of the selected hosts have each capability, and what is free there.

const PARTS = ['has', 'unknown', 'stale', 'unreported'];

function counted(selectedHosts) {
  const counts = capabilities.map(() => ({ vcpus: 0, memory: 0, hosts: new Map() }));
  const perKind = new Map();
  for (const host of selectedHosts) {
    const sum = perKind.get(host.kind) ?? { hosts: 0, vcpus: 0, memory: 0 };
    sum.hosts += 1;
    sum.vcpus += host.vcpus;
    sum.memory += host.memory;
    perKind.set(host.kind, sum);
  }
  for (const [kind, sum] of perKind) {
    kind.standings.forEach((standing, place) => {
      const count = counts[place];
      count.hosts.set(standing, (count.hosts.get(standing) ?? 0) + sum.hosts);
      if (standing === 'has') {
        count.vcpus += sum.vcpus;
        count.memory += sum.memory;
      }
    });
  }
  return counts;
}

function bar(count, total) {
  const parts = PARTS.map((standing) => {
    const part = element('span', { class: `part ${standing}` });
    const share = total ? (count.hosts.get(standing) ?? 0) / total : 0;
    part.style.setProperty('--share', `${share * 100}%`);
    return part;
  });
  return element('span', { class: 'bar', 'aria-hidden': 'true' }, ...parts);
}

function chartItem(capability, count, total, changed) {
  const has = count.hosts.get('has') ?? 0;
  const unknown = count.hosts.get('unknown') ?? 0;
  const button = element(
    'button',
    {
      type: 'button',
      class: 'name',
      'data-key': capability.key,
      'aria-pressed': String(isWanted(capability.key, 'has')),
      title: capability.meaning,
      click: () => {
        toggleWant(capability.key, 'has');
        changed();
        find('chart').querySelector(`[data-key="${capability.key}"]`)?.focus();
      },
    },
    capability.key,
  );
  const figures = element('span', { class: 'figures' }, element('b', null, number(has)), has === 1 ? ' host' : ' hosts');
  if (unknown) figures.append(element('span', { class: 'unknown' }, `, ${number(unknown)} unknown`));
  const free = has ? `${number(count.vcpus)} vCPUs, ${memory(count.memory)}` : '';
  return element('li', null, button, bar(count, total), figures, element('span', { class: 'free quiet' }, free));
}

function drawKey(selectedHosts) {
  const count = (report) => selectedHosts.filter((host) => host.kind.report === report).length;
  const words = {
    has: 'has it',
    unknown: 'could not determine it',
    stale: `report is stale (${number(count('stale'))})`,
    unreported: `never reported (${number(count('unreported'))})`,
  };
  find('chart-key').replaceChildren(
    ...PARTS.map((standing) => {
      const part = element('span', { class: `part ${standing}` });
      part.style.setProperty('--share', '100%');
      return element('li', null, element('span', { class: 'bar', 'aria-hidden': 'true' }, part), ` ${words[standing]}`);
    }),
    element('li', null, element('span', { class: 'bar', 'aria-hidden': 'true' }), ' lacks it'),
  );
}

function drawChart(selectedHosts, changed) {
  const counts = counted(selectedHosts);
  const shown = selection.all ? capabilities : common;
  drawKey(selectedHosts);
  find('chart').replaceChildren(
    ...shown.map((each) => chartItem(each, counts[each.place], selectedHosts.length, changed)),
  );
}
