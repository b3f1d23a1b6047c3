/* SPDX-License-Identifier: Apache-2.0 */
// Which hosts are shown, and how. The address of the page keeps it, so that a
// bookmark shows the same again.

const ANY_HOST = { text: '', aggregate: '', zone: '', report: '', unusable: false };

const selection = {
  ...ANY_HOST,
  wants: [],
  fold: true,
  all: false,
  sort: '',
  descending: false,
};

function reset() {
  Object.assign(selection, ANY_HOST, { wants: [] });
}

function toggleWant(key, state) {
  const before = selection.wants.length;
  selection.wants = selection.wants.filter((each) => each.key !== key || each.state !== state);
  if (selection.wants.length === before) selection.wants.push({ key, state });
}

const shownCapabilities = () => (selection.all ? capabilities : common);

const isWanted = (key, state) =>
  selection.wants.some((each) => each.key === key && each.state === state);

function selected() {
  const words = selection.text.toLowerCase().split(/\s+/).filter(Boolean);
  const wants = selection.wants.map(({ key, state }) => [capabilityOf.get(key).place, state]);
  const suits = new Map(
    kinds.map((kind) => [
      kind,
      (!selection.report || kind.report === selection.report) &&
        wants.every(([place, state]) => kind.states[place] === state),
    ]),
  );
  return hosts.filter(
    (host) =>
      suits.get(host.kind) &&
      (!selection.zone || host.zone === selection.zone) &&
      (!selection.unusable || !host.usable) &&
      (!selection.aggregate || host.aggregates?.some((each) => each.uuid === selection.aggregate)) &&
      // A part of a UUID would match by chance.
      words.every((word) => host.text.includes(word) || host.uuid.startsWith(word)),
  );
}

const quoted = (text) => (/^[\w.:@%+=/-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

// The command that lists the same hosts, '' where no option does.
function commandLine() {
  if (selection.text || selection.unusable) return '';
  const options = [];
  for (const { key, state } of selection.wants) {
    if (!['has', 'lacks', 'unknown'].includes(state)) return '';
    options.push(`--${state} ${key}`);
  }
  if (selection.aggregate) options.push(`--aggregate ${selection.aggregate}`);
  if (selection.zone) options.push(`--availability-zone ${quoted(selection.zone)}`);
  if (['stale', 'unreported'].includes(selection.report)) options.push(`--${selection.report}`);
  else if (selection.report) return '';
  if (!options.length) return '';
  options.push(`--max-age-weeks ${data.max_age_weeks}`);
  return `openstack hypervisor capability list ${options.join(' ')}`;
}

function saved() {
  const fields = new URLSearchParams();
  for (const name of ['text', 'aggregate', 'zone', 'report', 'sort']) {
    if (selection[name]) fields.set(name, selection[name]);
  }
  for (const name of ['unusable', 'all', 'descending']) {
    if (selection[name]) fields.set(name, '1');
  }
  if (!selection.fold) fields.set('fold', '0');
  for (const { key, state } of selection.wants) fields.append(state, key);
  return fields.toString();
}

function restore(text) {
  const fields = new URLSearchParams(text);
  reset();
  for (const name of ['text', 'aggregate', 'zone', 'report', 'sort']) {
    selection[name] = fields.get(name) ?? '';
  }
  for (const name of ['unusable', 'all', 'descending']) {
    selection[name] = fields.get(name) === '1';
  }
  selection.fold = fields.get('fold') !== '0';
  for (const state of data.states) {
    for (const key of fields.getAll(state)) {
      if (capabilityOf.has(key)) selection.wants.push({ key, state });
    }
  }
}
