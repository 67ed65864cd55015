// Products, and their devices: sub-devices below their gateway.

import { get, path, post } from './client.js';
import { announce, badge, button, count, dialog, empty, field, fill, h, input, select, when } from './dom.js';
import { changed, deviceKey, model } from './model.js';
import { Table } from './table.js';

export function devicesView(abilities) {
  const product = h('select', { change: draw });
  const state = select('state', [['', 'All'], ['online', 'Online'], ['offline', 'Offline']], { change: draw });
  const search = h('input', { type: 'search', autocomplete: 'off', input: draw });
  const summary = h('p', { class: 'summary' });
  const table = new Table({
    caption: 'Devices',
    key: deviceKey,
    shows: (it) => [it, it.gateway ? model.devices.get(deviceKey(it.gateway))?.online : null],
    rowClass: (it) => (it.gateway ? 'sub' : ''),
    columns: [
      { title: 'Device', heading: true, cell: name },
      { title: 'Product', cell: (it) => it.productKey },
      { title: 'State', cell: (it) => badge(it.online ? 'ONLINE' : 'OFFLINE') },
      { title: 'Versions', cell: versions },
      ...(abilities.can('GET', '/products/{productKey}/devices/{deviceName}/tasks')
        ? [{ title: 'Actions', class: 'actions', cell: (it) => historyButton(it) }]
        : []),
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
    h('div', { class: 'tools' }, field('Product', product), field('State', state), field('Find', search)),
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
        (!state.value || (state.value === 'online') === it.online) &&
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

function historyButton(device) {
  return button(
    'History',
    async () => {
      const tasks = await get(path`/products/${device.productKey}/devices/${device.deviceName}/tasks`);
      dialog({
        title: `Upgrades of ${device.deviceName}`,
        wide: true,
        cancel: 'Close',
        content:
          tasks.length === 0
            ? empty('No job has had this device.')
            : h(
                'ol',
                { class: 'history' },
                tasks
                  .slice()
                  .reverse()
                  .map((it) =>
                    h(
                      'li',
                      {},
                      badge(it.status),
                      ` ${it.module} ${it.sourceVersion} → ${it.targetVersion}, job ${it.jobId}, `,
                      when(it.updatedAt),
                      it.description ? h('p', { class: 'reason' }, it.description) : null,
                    ),
                  ),
              ),
      });
    },
    { class: 'quiet', 'data-action': 'history', 'aria-label': `History of ${device.deviceName}` },
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
      model.products.set(created.productKey, created);
      changed();
      announce(`Product ${created.productKey} is created.`);
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
      showSecret(login);
    },
  });
}

function showSecret(login) {
  const secret = input('secret', { readonly: true, value: login.deviceSecret, class: 'mono' });
  dialog({
    title: `Device ${login.deviceName} is created`,
    content: [
      field('Device secret', secret, 'It is shown this once. The device logs in with it.'),
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

