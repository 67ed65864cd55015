// What every view is made of. Text is only ever put in as text: names, versions and reasons come from devices and from other
// people.

/** An element. Attributes whose value is null or false are left out; functions become listeners. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) {
      continue;
    }
    if (typeof value === 'function') {
      element.addEventListener(name, value);
    } else {
      element.setAttribute(name, value === true ? '' : value);
    }
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function fill(element, ...children) {
  element.replaceChildren(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

let counter = 0;

export function uniqueId(prefix) {
  counter += 1;
  return `${prefix}-${counter}`;
}

/** Says something to who listens, and shows it for a moment to who looks. */
export function announce(text, bad = false) {
  document.getElementById('polite').textContent = text;
  const toast = h('p', { class: bad ? 'toast bad' : 'toast' }, text);
  document.getElementById('toasts').append(toast);
  setTimeout(() => toast.remove(), 6000);
}

export function button(label, onClick, attributes = {}) {
  return h('button', { type: 'button', ...attributes, click: onClick }, label);
}

/** A labelled control, with help and, later, with what is wrong. */
export function field(label, control, help) {
  control.id ||= uniqueId('field');
  const children = [h('label', { for: control.id }, label), control];
  if (help) {
    const id = `${control.id}-help`;
    control.setAttribute('aria-describedby', id);
    children.push(h('small', { id }, help));
  }
  return h('div', { class: 'field' }, children);
}

export function input(name, attributes = {}) {
  return h('input', { name, autocomplete: 'off', spellcheck: 'false', ...attributes });
}

export function select(name, options, attributes = {}) {
  return h(
    'select',
    { name, ...attributes },
    options.map(([value, text, chosen]) => h('option', { value, selected: chosen }, text)),
  );
}

export function check(name, label, attributes = {}) {
  const control = h('input', { type: 'checkbox', name, ...attributes });
  return h('label', { class: 'check' }, control, h('span', {}, label));
}

const openers = new WeakMap();

/**
 * A dialog with a form. {@code act} runs when it is submitted; what it throws is shown in the dialog, which stays, as it
 * does when {@code act} says 'stay'.
 * Escape and Cancel close it; the focus goes back to where it was.
 */
export function dialog({ title, content, action, act, danger = false, cancel = 'Cancel', wide = false }) {
  const titleId = uniqueId('title');
  const problem = h('p', { class: 'problem', role: 'alert' });
  const submit = action ? h('button', { type: 'submit', class: danger ? 'danger' : 'primary' }, action) : null;
  const leave = button(cancel, () => box.close());
  const form = h(
    'form',
    {
      submit: async (event) => {
        event.preventDefault();
        if (!action) {
          box.close();
          return;
        }
        problem.textContent = '';
        submit.disabled = true;
        box.setAttribute('aria-busy', 'true');
        try {
          if ((await act()) === 'stay') {
            submit.remove();
            leave.textContent = 'Close';
            leave.focus();
          } else {
            box.close();
          }
        } catch (failure) {
          problem.textContent = failure.message;
        } finally {
          submit.disabled = false;
          box.removeAttribute('aria-busy');
        }
      },
    },
    h('div', { class: 'dialog-body' }, h('h2', { id: titleId }, title), content, problem),
    h('div', { class: 'buttons' }, leave, submit),
  );
  // A dialog that another one ends with leads back to where that was opened.
  const focused = document.activeElement;
  const before = openers.get(focused?.closest('dialog')) ?? focused;
  const box = h(
    'dialog',
    {
      'aria-labelledby': titleId,
      class: wide ? 'wide' : null,
      close: () => {
        box.remove();
        (before?.isConnected ? before : document.getElementById('main')).focus();
      },
    },
    form,
  );
  const body = box.querySelector('.dialog-body');
  if (!body.querySelector('input, select, textarea, button, summary')) {
    // What is only read may be longer than the window, and is then scrolled with the keyboard.
    body.tabIndex = 0;
  }
  openers.set(box, before);
  document.body.append(box);
  box.showModal();
  return box;
}

export function confirmation({ title, text, action, act }) {
  return dialog({ title, content: h('p', {}, text), action, act, danger: true, cancel: 'Keep' });
}

const STATES = {
  ONLINE: ['●', 'Online', 'good'],
  OFFLINE: ['○', 'Offline', 'idle'],
  DISABLED: ['⊘', 'Disabled', 'bad'],
  CONFIRM: ['?', 'To be confirmed', 'wait'],
  QUEUED: ['…', 'Queued', 'idle'],
  NOTIFIED: ['→', 'Pushed', 'busy'],
  IN_PROGRESS: ['▶', 'In progress', 'busy'],
  SUCCEEDED: ['✓', 'Succeeded', 'good'],
  FAILED: ['✕', 'Failed', 'bad'],
  CANCELED: ['–', 'Cancelled', 'idle'],
  PLANNED: ['◷', 'Planned', 'wait'],
  COMPLETED: ['✓', 'Completed', 'good'],
};

export function stateText(state) {
  return STATES[state]?.[1] ?? state;
}

/** A state in words, with a sign and a colour beside them. */
export function badge(state) {
  const [sign, text, kind] = STATES[state] ?? ['', state, 'idle'];
  return h('span', { class: `badge ${kind}` }, h('span', { 'aria-hidden': 'true' }, sign), ` ${text}`);
}

const WHOLE = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const NUMBER = new Intl.NumberFormat();

/** A moment; the day of it only if that is not today. */
export function when(instant) {
  if (!instant) {
    return '–';
  }
  const date = new Date(instant);
  const short = date.toDateString() === new Date().toDateString() ? TIME : DAY;
  return h('time', { datetime: instant, title: WHOLE.format(date) }, short.format(date));
}

export function count(number, one, many = `${one}s`) {
  return `${NUMBER.format(number)} ${number === 1 ? one : many}`;
}

export function bytes(number) {
  const units = ['bytes', 'KiB', 'MiB', 'GiB'];
  let unit = 0;
  let value = number;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? NUMBER.format(value) : value.toFixed(1)} ${units[unit]}`;
}

/** A digest of which the beginning is enough for a look, and all of which can be copied. */
export function digest(label, hex) {
  return h('span', { class: 'digest' }, h('span', { class: 'digest-name' }, label), ' ', h('code', { title: hex }, hex));
}

export function empty(text, ...more) {
  return h('div', { class: 'empty' }, h('p', {}, text), more);
}
