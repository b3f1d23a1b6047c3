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
    kind.states.forEach((state, place) => {
      const count = counts[place];
      count.hosts.set(state, (count.hosts.get(state) ?? 0) + sum.hosts);
      if (state === 'has') {
        count.vcpus += sum.vcpus;
        count.memory += sum.memory;
      }
    });
  }
  return counts;
}

function bar() {
  const parts = PARTS.map((state) => element('span', { class: `part ${state}` }));
  return element('span', { class: 'bar', 'aria-hidden': 'true' }, ...parts);
}

function chartItem(capability, changed) {
  const act = () => {
    toggleWant(capability.key, 'has');
    changed();
  };
  const button = element(
    'button',
    { type: 'button', class: 'name', 'data-key': capability.key, title: capability.meaning, click: act },
    capability.key,
  );
  const figures = element('span', { class: 'figures' }, element('b'), '', element('span', { class: 'unknown' }));
  return element('li', null, button, bar(), figures, element('span', { class: 'free quiet' }));
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function drawItem(item, capability, count, total) {
  const has = count.hosts.get('has') ?? 0;
  const unknown = count.hosts.get('unknown') ?? 0;
  const [button, parts, figures, free] = item.children;
  button.setAttribute('aria-pressed', String(isWanted(capability.key, 'has')));
  PARTS.forEach((state, place) => {
    const share = total ? (count.hosts.get(state) ?? 0) / total : 0;
    parts.children[place].style.setProperty('--share', `${share * 100}%`);
  });
  setText(figures.children[0], number(has));
  setText(figures.childNodes[1], has === 1 ? ' host' : ' hosts');
  setText(figures.children[1], unknown ? `, ${number(unknown)} unknown` : '');
  setText(free, has ? `${number(count.vcpus)} vCPUs, ${memory(count.memory)}` : '');
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
    ...PARTS.map((state) => {
      const part = element('span', { class: `part ${state}` });
      part.style.setProperty('--share', '100%');
      return element('li', null, element('span', { class: 'bar', 'aria-hidden': 'true' }, part), ` ${words[state]}`);
    }),
    element('li', null, element('span', { class: 'bar', 'aria-hidden': 'true' }), ' lacks it'),
  );
}

function drawChart(selectedHosts, columnsChanged, changed) {
  const counts = counted(selectedHosts);
  const shown = shownCapabilities();
  if (columnsChanged) find('chart').replaceChildren(...shown.map((each) => chartItem(each, changed)));
  drawKey(selectedHosts);
  shown.forEach((each, place) => {
    drawItem(find('chart').children[place], each, counts[each.place], selectedHosts.length);
  });
}
