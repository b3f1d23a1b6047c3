/* SPDX-License-Identifier: Apache-2.0 */
// The table of hosts and capabilities.

const FIRST_ROWS = 50;
const opened = new Set();
let rowsShown = FIRST_ROWS;
let rows = [];

// What is shown again is not made again: a row is known by all that it shows.
let made = new Map();

const compareNames = new Intl.Collator('en', { numeric: true }).compare;
const byPlace = (one, other) => one.hosts[0].place - other.hosts[0].place;
const places = new Map(
  [...hosts].sort((one, other) => compareNames(one.name, other.name)).map((host, place) => [host, place]),
);

const total = (listed, field) => listed.reduce((sum, each) => sum + each[field], 0);

function asRow(id, kind, listed, label) {
  return { id, kind, hosts: listed, label, vcpus: total(listed, 'vcpus'), memory: total(listed, 'memory') };
}

function folded(selectedHosts) {
  const groups = new Map();
  for (const host of selectedHosts) {
    if (!groups.has(host.kind)) groups.set(host.kind, []);
    groups.get(host.kind).push(host);
  }
  return [...groups].map(([kind, listed]) => {
    listed.sort((one, other) => places.get(one) - places.get(other));
    return asRow(`kind-${kind.number}`, kind, listed, `kind ${kind.number}`);
  });
}

const unfolded = (selectedHosts) =>
  selectedHosts.map((host) => asRow(`host-${host.place}`, host.kind, [host], host.name));

const COLUMNS = {
  name: { title: 'Hosts', order: (row) => places.get(row.hosts[0]) },
  hosts: { title: 'Number', order: (row) => row.hosts.length, most: true },
  zone: { title: 'Zone', order: (row) => row.hosts[0].zone },
  processor: { title: 'Processor', order: (row) => row.kind.processor },
  report: { title: 'Report', order: (row) => row.kind.report },
  vcpus: { title: 'Free vCPUs', order: (row) => row.vcpus, most: true },
  memory: { title: 'Free memory', order: (row) => row.memory, most: true },
};

// A kind is in many zones, a host is in one.
const columnsBefore = () => ['name', ...(selection.fold ? ['hosts'] : ['zone']), 'processor', 'report'];
const COLUMNS_AFTER = ['vcpus', 'memory'];

const stateOrder = ['has', 'unknown', 'stale', 'unreported', 'lacks', 'cannot'];

function sortKey() {
  return selection.sort || (selection.fold ? 'hosts' : 'name');
}

function orderOf(key) {
  if (columnsBefore().includes(key) || COLUMNS_AFTER.includes(key)) return COLUMNS[key];
  const capability = capabilityOf.get(key);
  return capability
    ? { order: (row) => stateOrder.indexOf(looks(row.kind, capability)) }
    : COLUMNS.name;
}

const isDescending = (key) => Boolean(orderOf(key).most) !== selection.descending;

function sorted(unsorted) {
  const key = sortKey();
  const { order } = orderOf(key);
  const sign = isDescending(key) ? -1 : 1;
  const compare = (one, other) => {
    const [left, right] = [order(one), order(other)];
    const result = typeof left === 'string' ? compareNames(left, right) : left - right;
    return sign * result || other.hosts.length - one.hosts.length || places.get(one.hosts[0]) - places.get(other.hosts[0]);
  };
  return unsorted.sort(compare);
}

function headCell(key, title, className, meaning, changed) {
  return element(
    'th',
    { scope: 'col', class: className, 'data-key': key },
    element(
      'button',
      {
        type: 'button',
        title: meaning,
        click: () => {
          selection.descending = sortKey() === key && !selection.descending;
          selection.sort = key;
          changed();
        },
      },
      element('span', null, title),
    ),
  );
}

function drawHead(changed) {
  const classes = { name: 'first', hosts: 'figure', vcpus: 'figure', memory: 'figure' };
  const plainHead = (key) => headCell(key, COLUMNS[key].title, classes[key] ?? '', null, changed);
  const column = (key) => element('col', { class: `of-${key}` });
  find('columns').replaceChildren(
    ...columnsBefore().map(column),
    ...shownCapabilities().map(() => column('capability')),
    ...COLUMNS_AFTER.map(column),
  );
  find('head').replaceChildren(
    element(
      'tr',
      null,
      ...columnsBefore().map(plainHead),
      ...shownCapabilities().map((each) => headCell(each.key, each.key, 'capability', each.meaning, changed)),
      ...COLUMNS_AFTER.map(plainHead),
    ),
  );
}

function markSorted() {
  const key = sortKey();
  for (const cell of find('head').querySelectorAll('th')) {
    if (cell.dataset.key === key) cell.setAttribute('aria-sort', isDescending(key) ? 'descending' : 'ascending');
    else cell.removeAttribute('aria-sort');
  }
}

function capabilityCell(kind, capability) {
  const look = looks(kind, capability);
  const contradiction = kind.contradictions[capability.key];
  const title = `${capability.key}: ${WORDS[look]}${contradiction ? `; ${contradiction}` : ''}`;
  return element(
    'td',
    { class: `cell mark ${look}${contradiction ? ' alert' : ''}`, title },
    WORDS[look] + (contradiction ? ', contradiction' : ''),
  );
}

// Rows of one kind have the same cells.
let patterns = new Map();

function pattern(kind) {
  if (!patterns.has(kind)) {
    const cells = document.createDocumentFragment();
    cells.append(...shownCapabilities().map((each) => capabilityCell(kind, each)));
    patterns.set(kind, cells);
  }
  return patterns.get(kind).cloneNode(true);
}

function nameCell(row) {
  const names = row.hosts.slice(0, 3).map((host) => host.name);
  const rest = row.hosts.length > names.length ? ', …' : '';
  const button = element(
    'button',
    {
      type: 'button',
      class: row.hosts.length > 1 ? 'row many' : 'row',
      id: row.id,
      'aria-expanded': String(opened.has(row.id)),
      click: () => toggle(row.id),
    },
    element('span', { class: 'arrow', 'aria-hidden': 'true' }, '▸'),
    ...(selection.fold ? [element('span', { class: 'kind' }, `Kind ${row.kind.number} `)] : []),
    element('span', { class: 'names' }, isolated(names.join(', ') + rest)),
  );
  return element('th', { scope: 'row', class: 'first' }, button);
}

function reportCell(kind) {
  const look = { stale: 'stale', unreported: 'unreported' }[kind.report] ?? '';
  return element('td', { class: `report ${look}` }, kind.report);
}

function makeRow(row) {
  const line = element(
    'tr',
    null,
    nameCell(row),
    selection.fold
      ? element('td', { class: 'figure' }, number(row.hosts.length))
      : element('td', null, isolated(row.hosts[0].zone || 'not known')),
    element('td', { class: 'processor' }, isolated(row.kind.processor)),
    reportCell(row.kind),
  );
  line.append(
    pattern(row.kind),
    element('td', { class: 'figure' }, number(row.vcpus)),
    element('td', { class: 'figure' }, memory(row.memory)),
  );
  return line;
}

function tableRow(row) {
  const first = row.hosts.slice(0, 3).map((host) => host.place);
  const shown = [row.id, row.hosts.length, row.vcpus, row.memory, ...first].join(' ');
  if (!made.has(shown)) made.set(shown, makeRow(row));
  const line = made.get(shown);
  line.querySelector('button.row').setAttribute('aria-expanded', String(opened.has(row.id)));
  return line;
}

// Lines that stay are not touched: the browser need not place them again.
function arrange(parent, lines) {
  const wanted = new Set(lines);
  for (const line of [...parent.children]) {
    if (!wanted.has(line)) line.remove();
  }
  let at = parent.firstElementChild;
  for (const line of lines) {
    if (line === at) at = at.nextElementSibling;
    else parent.insertBefore(line, at);
  }
}

function detailRow(row) {
  // It scrolls where the screen is narrow, and so must take the focus.
  const about = { class: 'details', role: 'group', 'aria-label': row.label, tabindex: '0' };
  const cell = element('td', {
    colspan: String(shownCapabilities().length + columnsBefore().length + COLUMNS_AFTER.length),
  });
  cell.append(element('div', about, ...details(row)));
  return element('tr', { class: 'detail' }, cell);
}

function toggle(id) {
  // Of the selection of now, which may be another one than when it was made.
  const row = rows.find((each) => each.id === id);
  const button = find(id);
  const line = button.closest('tr');
  const open = !opened.has(row.id);
  if (open) {
    opened.add(row.id);
    line.after(detailRow(row));
  } else {
    opened.delete(row.id);
    line.nextElementSibling.remove();
  }
  button.setAttribute('aria-expanded', String(open));
}

const linesOf = (row) => (opened.has(row.id) ? [tableRow(row), detailRow(row)] : [tableRow(row)]);

function drawMore() {
  const left = rows.length - rowsShown;
  if (left <= 0) {
    find('more').replaceChildren();
    return;
  }
  const show = (count, label) =>
    element('button', { type: 'button', click: () => showRows(rowsShown + count) }, label);
  find('more').replaceChildren(
    `${number(rowsShown)} of ${number(rows.length)} rows are shown. `,
    show(FIRST_ROWS, `Show ${number(Math.min(left, FIRST_ROWS))} more`),
    ' ',
    show(left, 'Show all'),
  );
}

function showRows(count) {
  const added = rows.slice(rowsShown, count);
  rowsShown = count;
  find('body').append(...added.flatMap(linesOf));
  drawMore();
  if (added.length) find(added[0].id).focus();
}

function drawRows() {
  const focused = document.activeElement?.id;
  arrange(find('body'), rows.slice(0, rowsShown).flatMap(linesOf));
  if (focused && document.activeElement?.id !== focused) find(focused)?.focus();
  drawMore();
}

function drawMatrix(selectedHosts, columnsChanged, changed) {
  if (columnsChanged) {
    patterns = new Map();
    made = new Map();
    drawHead(changed);
  }
  rows = sorted(selection.fold ? folded(selectedHosts) : unfolded(selectedHosts));
  rowsShown = FIRST_ROWS;
  markSorted();
  drawRows();
}

// Arrow keys move between rows; each row is one button.
function moveBetweenRows(event) {
  const buttons = [...find('body').querySelectorAll('button.row')];
  const at = buttons.indexOf(document.activeElement);
  if (at < 0) return;
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (event.key === 'Escape' || to === -1) find('search').focus();
  else if (to === undefined) return;
  else buttons[Math.min(to, buttons.length - 1)].focus();
  event.preventDefault();
}
