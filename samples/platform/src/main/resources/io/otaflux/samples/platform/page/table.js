// A table of which only one page is in the document, whatever its length, and which changes only the rows that have changed:
// what is focused or selected in the others stays.

import { button, fill, h } from './dom.js';

const PAGE = 50;

export class Table {
  #columns;
  #key;
  #body;
  #pager;
  #range;
  #previous;
  #next;
  #note;
  #table;
  #items = [];
  #page = 0;
  #rows = new Map();

  /**
   * @param {{caption: string, columns: {title: string, cell: function, heading?: boolean, class?: string}[],
   *     key: function, shows: function, empty: Element}} settings {@code shows} gives what a row depends on
   */
  constructor({ caption, columns, key, shows, empty, rowClass, label }) {
    this.#columns = columns;
    this.#key = key;
    this.shows = shows;
    this.rowClass = rowClass;
    this.label = label;
    this.#body = h('tbody', { role: 'rowgroup' });
    // The roles say again what the elements say: on a narrow screen the style takes their meaning away.
    this.#table = h(
      'table',
      { role: 'table' },
      h('caption', { class: 'unseen' }, caption),
      h(
        'thead',
        { role: 'rowgroup' },
        h(
          'tr',
          { role: 'row' },
          columns.map((it) => h('th', { scope: 'col', role: 'columnheader', class: it.class ?? null }, it.title)),
        ),
      ),
      this.#body,
    );
    this.#range = h('span', { class: 'range' });
    this.#previous = button('Previous', () => this.#turn(-1), { class: 'quiet' });
    this.#next = button('Next', () => this.#turn(1), { class: 'quiet' });
    this.#pager = h('nav', { class: 'pager', 'aria-label': `Pages of ${caption}` }, this.#previous, this.#range, this.#next);
    this.#note = empty;
    this.element = h('div', { class: 'table' }, this.#table, this.#note, this.#pager);
  }

  set(items) {
    this.#items = items;
    this.#draw();
  }

  #turn(by) {
    this.#page += by;
    this.#draw();
    if (document.activeElement?.disabled || document.activeElement === document.body) {
      (this.#next.disabled ? this.#previous : this.#next).focus();
    }
    this.element.scrollIntoView({ block: 'nearest' });
  }

  #draw() {
    const pages = Math.max(1, Math.ceil(this.#items.length / PAGE));
    this.#page = Math.min(Math.max(0, this.#page), pages - 1);
    const first = this.#page * PAGE;
    const shown = this.#items.slice(first, first + PAGE);
    const rows = new Map();
    let place = this.#body.firstChild;
    for (const item of shown) {
      const key = this.#key(item);
      const row = this.#row(this.#rows.get(key), item);
      this.#rows.delete(key);
      rows.set(key, row);
      if (row.element === place) {
        place = place.nextSibling;
      } else {
        this.#body.insertBefore(row.element, place);
      }
    }
    this.#rows.forEach((row) => row.element.remove());
    this.#rows = rows;
    this.#table.hidden = this.#items.length === 0;
    this.#note.hidden = this.#items.length > 0;
    this.#pager.hidden = pages === 1;
    this.#previous.disabled = this.#page === 0;
    this.#next.disabled = this.#page === pages - 1;
    this.#range.textContent = `${first + 1}–${first + shown.length} of ${this.#items.length}`;
  }

  #row(existing, item) {
    const sign = JSON.stringify(this.shows(item));
    if (existing?.sign === sign) {
      return existing;
    }
    const element = existing?.element ?? h('tr', { role: 'row', 'data-key': this.label?.(item) ?? this.#key(item) });
    const focused = element.contains(document.activeElement) ? document.activeElement.dataset.action : null;
    element.className = this.rowClass?.(item) ?? '';
    fill(
      element,
      this.#columns.map((it) =>
        it.heading
          ? h('th', { scope: 'row', role: 'rowheader', class: it.class ?? null }, it.cell(item))
          : h('td', { role: 'cell', class: it.class ?? null, 'data-label': it.title }, h('div', {}, it.cell(item))),
      ),
    );
    if (focused) {
      (element.querySelector(`[data-action="${focused}"]`) ?? element.querySelector('a, button'))?.focus();
    }
    return { element, sign };
  }
}
