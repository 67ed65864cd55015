// Products, and their devices: sub-devices below their gateway.

import { get, path, post, remove } from './client.js';
import { announce, badge, button, confirmation, count, dialog, empty, field, fill, h, input, select, when } from './dom.js';
import { changed, deviceKey, model } from './model.js';
import { Table } from './table.js';

export function devicesView() {
  const product = h('select', { change: draw });
  const presence = select('state', [['', 'All'], ['online', 'Online'], ['offline', 'Offline']], { change: draw });
  const search = h('input', { type: 'search', autocomplete: 'off', input: draw });
  const summary = h('p', { class: 'summary' });
  const table = new Table({
    caption: 'Devices',
    key: deviceKey,
    shows: (it) => it,
    rowClass: (it) => (it.gateway ? 'sub' : ''),
    columns: [
      { title: 'Device', heading: true, cell: name },
      { title: 'Product', cell: (it) => it.productKey },
      { title: 'State', cell: state },
      { title: 'Versions', cell: versions },
      {
        title: 'Actions',
        class: 'actions',
        cell: (it) => button('Details', () => details(it), { class: 'quiet', 'data-action': 'details', 'aria-label': `Details of ${it.deviceName}` }),
      },
    ],
    empty: h('div', {}),
  });
  const element = h(
    'div',
    {},
    h(
      'div',
      { class: 'head' },
      h('h1', {}, 'Devices'),
      h('div', { class: 'buttons' }, button('New product', newProduct), button('New device', newDevice, { class: 'primary' })),
    ),
    summary,
    h('div', { class: 'tools' }, field('Product', product), field('State', presence), field('Find', search)),
    table.element,
  );

  function draw() {
    const chosen = product.value;
    const keys = [...model.products.keys()].sort();
    if (product.options.length !== keys.length + 1) {
      fill(product, h('option', { value: '' }, 'All products'), keys.map((it) => h('option', { value: it, selected: it === chosen }, it)));
    }
    const words = search.value.trim().toLowerCase();
    const all = [...model.devices.values()].filter((it) => !product.value || it.productKey === product.value);
    const online = all.filter((it) => it.online).length;
    summary.textContent = model.loaded
      ? `${count(keys.length, 'product')}, ${count(all.length, 'device')}, ${online} online`
      : 'Loading…';
    const found = all.filter(
      (it) =>
        (!presence.value || (presence.value === 'online') === it.online) &&
        (!words ||
          `${deviceKey(it)} ${it.gateway ? deviceKey(it.gateway) : ''} ${Object.entries(it.versions).flat().join(' ')}`
            .toLowerCase()
            .includes(words)),
    );
    table.set(found.sort(byPlace));
    const note = table.element.querySelector(':scope > div');
    if (!note.hidden && model.loaded) {
      fill(
        note,
        all.length > 0
          ? empty('No device is like that.')
          : empty('There are no devices yet. A device is of a product, and logs in with a secret that it gets here.'),
      );
    }
  }

  return { title: 'Devices', element, draw };
}

/** A gateway, then its sub-devices, then the next. */
function byPlace(a, b) {
  const place = (it) => {
    const parent = it.gateway ? deviceKey(it.gateway) : deviceKey(it);
    return [parent, it.gateway ? deviceKey(it) : ''];
  };
  const [aParent, aSelf] = place(a);
  const [bParent, bSelf] = place(b);
  return compare(aParent, bParent) || compare(aSelf, bSelf);
}

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

function name(it) {
  return it.gateway
    ? [h('span', { class: 'twig', 'aria-hidden': 'true' }, '└ '), it.deviceName, h('small', {}, ` behind ${it.gateway.deviceName}`)]
    : it.deviceName;
}

function state(it) {
  return [badge(it.online ? 'ONLINE' : 'OFFLINE'), it.disabled ? [' ', badge('DISABLED')] : null].flat();
}

function versions(it) {
  const entries = Object.entries(it.versions).sort(([a], [b]) => compare(a, b));
  return entries.length === 0
    ? h('span', { class: 'dim' }, 'none reported')
    : h(
        'ul',
        { class: 'chips' },
        entries.map(([module, version]) => h('li', {}, h('span', { class: 'dim' }, module), ' ', version)),
      );
}

function details(device) {
  const where = path`/products/${device.productKey}/devices/${device.deviceName}`;
  const below = [...model.devices.values()].filter((it) => it.gateway && deviceKey(it.gateway) === deviceKey(device));
  const upgrades = h('div', {});
  const turn = device.disabled ? 'enable' : 'disable';
  const box = dialog({
    title: device.deviceName,
    wide: true,
    cancel: 'Close',
    content: [
      h(
        'dl',
        { class: 'facts' },
        fact('Product', device.productKey),
        fact('State', state(device)),
        device.gateway ? fact('Gateway', deviceKey(device.gateway)) : null,
        below.length > 0 ? fact('Sub-devices', `${below.length}, ${below.filter((it) => it.online).length} online`) : null,
        fact('Versions', versions(device)),
      ),
      upgrades,
      h(
        'div',
        { class: 'buttons left spaced' },
        button(device.disabled ? 'Enable' : 'Disable', async () => {
          try {
            await post(`${where}/${turn}`);
            announce(`Device ${device.deviceName} is ${turn}d.`);
          } catch (failure) {
            announce(failure.message, true);
          }
          box.close();
        }),
        button(
          'Delete',
          () => {
            box.close();
            confirmation({
              title: `Delete device ${device.deviceName}?`,
              text: 'It can no longer log in, and its unfinished upgrades end.',
              action: 'Delete',
              act: async () => {
                await remove(where);
                model.devices.delete(deviceKey(device));
                changed();
                announce(`Device ${device.deviceName} is deleted.`);
              },
            });
          },
          { class: 'danger' },
        ),
      ),
    ],
  });
  get(`${where}/tasks`).then(
    (tasks) => fill(upgrades, h('h3', {}, 'Upgrades'), tasks.length === 0 ? h('p', { class: 'dim' }, 'none') : taskList(tasks)),
    (failure) => fill(upgrades, h('p', { class: 'problem', role: 'alert' }, failure.message)),
  );
}

function fact(term, ...value) {
  return h('div', {}, h('dt', {}, term), h('dd', {}, value));
}

function taskList(tasks) {
  return h(
    'ol',
    { class: 'history' },
    [...tasks].reverse().map((it) =>
      h(
        'li',
        {},
        badge(it.status),
        ` ${it.module} ${it.sourceVersion} → ${it.targetVersion}, job ${it.jobId}, `,
        when(it.updatedAt),
        it.description ? h('p', { class: 'reason' }, it.description) : null,
      ),
    ),
  );
}

export function newProduct() {
  const key = input('productKey', { required: true, maxlength: 64, pattern: '[A-Za-z0-9._\\-]+' });
  dialog({
    title: 'New product',
    content: field('Product key', key, 'Up to 64 characters of A–Z a–z 0–9 . _ -'),
    action: 'Create',
    act: async () => {
      const created = await post('/products', { productKey: key.value });
      model.products.set(created.productKey, { productKey: created.productKey });
      changed();
      showSecret(`Product ${created.productKey} is created`, 'Product secret', created.productSecret, 'Devices can get their own secrets with it, if dynamic registration is on.');
    },
  });
}

function newDevice() {
  if (model.products.size === 0) {
    newProduct();
    return;
  }
  const product = select('product', [...model.products.keys()].sort().map((it) => [it, it]));
  const deviceName = input('deviceName', { required: true, maxlength: 64, pattern: '[A-Za-z0-9._\\-]+' });
  dialog({
    title: 'New device',
    content: [field('Product', product), field('Device name', deviceName, 'Up to 64 characters of A–Z a–z 0–9 . _ -')],
    action: 'Create',
    act: async () => {
      const login = await post(path`/products/${product.value}/devices`, { deviceName: deviceName.value });
      showSecret(`Device ${login.deviceName} is created`, 'Device secret', login.deviceSecret, 'The device logs in with it.');
    },
  });
}

function showSecret(title, label, value, use) {
  const secret = input('secret', { readonly: true, value, class: 'mono' });
  dialog({
    title,
    content: [
      field(label, secret, `It is shown this once. ${use}`),
      h('div', { class: 'buttons left' }, button('Copy', async () => {
        try {
          await navigator.clipboard.writeText(secret.value);
          announce('The secret is copied.');
        } catch {
          secret.select();
        }
      })),
    ],
    cancel: 'Close',
  });
}

