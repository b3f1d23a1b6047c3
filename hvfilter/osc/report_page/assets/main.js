/* SPDX-License-Identifier: Apache-2.0 */
// Ties the controls to what they change, and draws the page.

let drawnColumns = null;

function option(value, text) {
  return element('option', { value }, text);
}

function fillControls() {
  const zones = [...data.zones].filter(Boolean).sort(compareNames);
  find('zone').replaceChildren(option('', 'any'), ...zones.map((each) => option(each, each)));
  const aggregates = [...data.aggregates].sort((one, other) => compareNames(one.name, other.name));
  find('aggregate').replaceChildren(
    option('', 'any'),
    ...aggregates.map((each) => option(each.uuid, each.name)),
  );
  const verbs = { has: 'have', lacks: 'lack', unknown: 'could not determine' };
  find('state').replaceChildren(
    ...Object.entries(verbs).map(([state, verb]) => option(state, verb)),
  );
  find('capability').replaceChildren(
    option('', 'choose'),
    ...capabilities.map((each) => option(each.key, `${each.key}: ${each.name}`)),
  );
}

function drawTiles() {
  const count = (test) => hosts.filter(test).length;
  const byReport = (report) => count((host) => host.kind.report === report);
  const tile = (id, label, counted, pressed, act) =>
    element(
      'button',
      {
        type: 'button',
        id: `tile-${id}`,
        class: `tile ${id}`,
        'aria-pressed': String(pressed),
        click: () => {
          act();
          changed();
          find(`tile-${id}`).focus();
        },
      },
      element('b', null, number(counted)),
      ` ${label}`,
    );
  const report = (value, label) =>
    tile(value.replace(' ', '-'), label, byReport(value), selection.report === value, () => {
      selection.report = selection.report === value ? '' : value;
    });
  find('tiles').replaceChildren(
    tile('any', hosts.length === 1 ? 'compute host' : 'compute hosts', hosts.length, !saved(), reset),
    report('valid', 'with a valid report'),
    report('stale', 'with a stale report'),
    report('unreported', 'never reported'),
    ...(byReport('none expected') ? [report('none expected', 'without KVM')] : []),
    tile('unusable', 'down or disabled', count((host) => !host.usable), selection.unusable, () => {
      selection.unusable = !selection.unusable;
    }),
  );
}

function drawControls() {
  find('search').value = selection.text;
  find('zone').value = selection.zone;
  find('aggregate').value = selection.aggregate;
  find('fold').checked = selection.fold;
  find('all').checked = selection.all;
  find('wants').replaceChildren(
    ...selection.wants.map(({ key, state }) =>
      element(
        'button',
        {
          type: 'button',
          class: 'want',
          'aria-label': `Remove: ${state} ${key}`,
          click: () => {
            toggleWant(key, state);
            changed();
            (find('wants').querySelector('button') ?? find('capability')).focus();
          },
        },
        `${state} ${key} `,
        element('span', { 'aria-hidden': 'true' }, '✕'),
      ),
    ),
  );
}

function drawResult(selectedHosts) {
  const found = new Set(selectedHosts.map((host) => host.kind)).size;
  find('status').textContent = selectedHosts.length
    ? `${number(selectedHosts.length)} of ${plural(hosts.length, 'host', 'hosts')}, ${plural(found, 'kind', 'kinds')}.`
    : `None of ${plural(hosts.length, 'host', 'hosts')} matches.`;
  const command = commandLine();
  find('command-line').replaceChildren(
    ...(command ? ['As a command: ', element('code', null, command)] : []),
  );
}

function draw() {
  const selectedHosts = selected();
  const columns = `${selection.all} ${selection.fold}`;
  drawTiles();
  drawResult(selectedHosts);
  drawChart(selectedHosts, columns !== drawnColumns, changed);
  drawMatrix(selectedHosts, columns !== drawnColumns, changed);
  drawnColumns = columns;
  document.documentElement.dataset.folded = selection.fold ? '1' : '0';
}

function changed() {
  drawControls();
  draw();
  try {
    history.replaceState(null, '', `#${saved()}`);
  } catch {
    // Some viewers permit no change of the address; nothing depends on it.
  }
}

function drawAbout() {
  const age = data.max_age_weeks
    ? `reports older than ${plural(data.max_age_weeks, 'week', 'weeks')} count as stale`
    : 'reports never count as stale';
  const scope = data.selection ? `Only ${data.selection}. ` : '';
  const made = data.made_at.replace('T', ' ').replace('Z', ' UTC');
  find('made').textContent = `${scope}As of ${made}; ${age}.`;
  find('origin').textContent = `Made by hvfilter ${data.version} from Placement and Nova. This file loads nothing and sends nothing.`;
  find('notices').replaceChildren(...data.notes.map((each) => element('p', { class: 'notice' }, each)));
  find('legend').replaceChildren(
    ...Object.entries(WORDS).map(([look, words]) =>
      element('li', null, element('span', { class: `cell mark ${look}`, 'aria-hidden': 'true' }), ` ${words}`),
    ),
    element(
      'li',
      null,
      element('span', { class: 'cell mark alert', 'aria-hidden': 'true' }),
      ' Nova and the report disagree',
    ),
  );
}

const THEMES = { '': 'automatic', light: 'light', dark: 'dark' };

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  find('theme').textContent = `Colours: ${THEMES[theme]}`;
}

// Storage may be barred, as for a file in some browsers.
function stored(act) {
  try {
    return act(localStorage) ?? '';
  } catch {
    return '';
  }
}

function wireTheme() {
  const known = Object.keys(THEMES);
  const kept = stored((storage) => storage.getItem('hvfilter-theme'));
  setTheme(known.includes(kept) ? kept : '');
  find('theme').addEventListener('click', () => {
    const next = known[(known.indexOf(document.documentElement.dataset.theme) + 1) % known.length];
    setTheme(next);
    stored((storage) => storage.setItem('hvfilter-theme', next));
  });
}

async function copyNames() {
  const names = selected().map((host) => host.name);
  try {
    await navigator.clipboard.writeText(`${names.join('\n')}\n`);
    find('copy').textContent = `Copied ${plural(names.length, 'name', 'names')}`;
  } catch {
    find('copy').textContent = 'The browser does not permit copying';
  }
  setTimeout(() => {
    find('copy').textContent = 'Copy host names';
  }, 3000);
}

function wireControls() {
  const on = (id, event, act) => find(id).addEventListener(event, act);
  const set = (id, event, name, field) =>
    on(id, event, () => {
      selection[name] = find(id)[field];
      changed();
    });
  set('search', 'input', 'text', 'value');
  set('zone', 'change', 'zone', 'value');
  set('aggregate', 'change', 'aggregate', 'value');
  set('fold', 'change', 'fold', 'checked');
  set('all', 'change', 'all', 'checked');
  on('capability', 'change', () => {
    const key = find('capability').value;
    if (key && !isWanted(key, find('state').value)) toggleWant(key, find('state').value);
    find('capability').value = '';
    changed();
  });
  on('reset', 'click', () => {
    reset();
    changed();
  });
  on('copy', 'click', copyNames);
  on('controls', 'submit', (event) => event.preventDefault());
  on('search', 'keydown', (event) => {
    if (event.key === 'ArrowDown') find('body').querySelector('button.row')?.focus();
    else if (event.key === 'Escape') {
      selection.text = '';
      changed();
    } else return;
    event.preventDefault();
  });
  on('body', 'keydown', moveBetweenRows);
  // The address keeps the selection: following the link would replace it.
  on('skip', 'click', (event) => {
    event.preventDefault();
    find('matrix').focus();
  });
}

// Paper has no buttons: it gets every row, and the names behind each.
function wirePrint() {
  let before = null;
  window.addEventListener('beforeprint', () => {
    before = { shown: rowsShown, capacity: find('capacity').open };
    find('capacity').open = true;
    rowsShown = rows.length;
    drawRows();
    if (!selection.fold) return;
    find('names').replaceChildren(
      element('h2', null, 'Hosts of each kind'),
      ...rows.map((row) =>
        element(
          'p',
          null,
          element('b', null, `Kind ${row.kind.number}, ${plural(row.hosts.length, 'host', 'hosts')}: `),
          ...row.hosts.flatMap((host, place) => [place ? ', ' : '', isolated(host.name)]),
        ),
      ),
    );
  });
  window.addEventListener('afterprint', () => {
    if (!before) return;
    find('names').replaceChildren();
    find('capacity').open = before.capacity;
    rowsShown = before.shown;
    drawRows();
  });
}

function start() {
  wireTheme();
  fillControls();
  drawAbout();
  restore(location.hash.slice(1));
  find('capacity').open = window.matchMedia('(min-width: 45rem)').matches;
  drawControls();
  draw();
  wireControls();
  wirePrint();
  window.addEventListener('hashchange', () => {
    restore(location.hash.slice(1));
    drawControls();
    draw();
  });
}

start();
