/* SPDX-License-Identifier: Apache-2.0 */
// Makes elements. Text becomes a text node or the value of an attribute, and
// is never parsed as HTML: names come from the cloud.

const find = (id) => document.getElementById(id);

function element(tag, properties, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (typeof value === 'function') {
      made.addEventListener(name, value);
    } else if (value === true) {
      made.setAttribute(name, '');
    } else if (value !== false && value !== null) {
      made.setAttribute(name, value);
    }
  }
  made.append(...children);
  return made;
}

// A name in letters that are written from right to left must not reorder
// what stands beside it.
const isolated = (text) => element('bdi', null, text);

const numbers = new Intl.NumberFormat('en');
const number = (value) => numbers.format(value);
const plural = (count, one, many) => `${number(count)} ${count === 1 ? one : many}`;

function memory(mib) {
  if (mib < 1024) return `${number(mib)} MiB`;
  const gib = mib / 1024;
  if (gib < 1024) return `${number(Math.floor(gib))} GiB`;
  const tib = gib / 1024;
  return `${number(tib < 100 ? Math.floor(tib * 10) / 10 : Math.floor(tib))} TiB`;
}
