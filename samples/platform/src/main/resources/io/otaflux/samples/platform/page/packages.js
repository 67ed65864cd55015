// Packages: what is there, and new ones by drag and drop or from the file chooser.

import { path, post, remove, upload } from './client.js';
import { newProduct } from './devices.js';
import { digestsOf } from './digests.js';
import {
  announce, bytes, button, check, confirmation, count, dialog, digest, empty, field, fill, h, input, select, uniqueId, when,
} from './dom.js';
import { newJob } from './jobs.js';
import { changed, model } from './model.js';
import { Table } from './table.js';

const NAME = '[A-Za-z0-9._\\-]+';
const VERIFICATION = ['To be verified', 'Verified', 'Being verified', 'Verification failed'];

export function packagesView() {
  const chooser = h('input', {
    type: 'file',
    id: uniqueId('chooser'),
    multiple: true,
    class: 'unseen',
    change: () => {
      const files = [...chooser.files];
      chooser.value = '';
      newPackage(files);
    },
  });
  let depth = 0;
  const over = (by) => {
    depth = Math.max(0, depth + by);
    zone.classList.toggle('over', depth > 0);
  };
  const zone = h(
    'section',
    {
      class: 'drop',
      'aria-label': 'Upload',
      dragenter: (event) => {
        event.preventDefault();
        over(1);
      },
      dragleave: () => over(-1),
      dragover: (event) => {
        event.preventDefault();
        event.dataTransfer.dropEffect = 'copy';
      },
      drop: (event) => {
        event.preventDefault();
        over(-depth);
        newPackage([...event.dataTransfer.files]);
      },
    },
    h('span', { class: 'drop-sign', 'aria-hidden': 'true' }, '⇪'),
    h('p', {}, 'Drop the files of a new package here, or'),
    h('p', {}, chooser, h('label', { for: chooser.id, class: 'like-button' }, 'Choose files')),
  );
  const table = new Table({
    caption: 'Packages',
    key: (it) => it.id,
    shows: (it) => it,
    columns: [
      { title: 'Package', heading: true, cell: (it) => [it.id, it.name ? h('small', {}, ` ${it.name}`) : null] },
      { title: 'Product', cell: (it) => it.productKey },
      { title: 'Brings', cell: (it) => [h('span', { class: 'dim' }, it.module), ` ${it.srcVersion ? `${it.srcVersion} → ` : ''}${it.version}`, ...marks(it)] },
      { title: 'Content', cell: content },
      { title: 'Uploaded', cell: (it) => when(it.createdAt) },
      {
        title: 'Actions',
        class: 'actions',
        cell: (it) => [
          button('New job', () => newJob(it.id), { class: 'quiet', 'data-action': 'job', 'aria-label': `New job with package ${it.id}` }),
          button('Delete', () => deletePackage(it), { class: 'quiet danger', 'data-action': 'delete', 'aria-label': `Delete package ${it.id}` }),
        ],
      },
    ],
    empty: empty('There are no packages yet. A package is a version of a module, with the file that brings it.'),
  });
  const summary = h('p', { class: 'summary' });
  return {
    title: 'Packages',
    element: h('div', {}, h('div', { class: 'head' }, h('h1', {}, 'Packages')), summary, zone, table.element),
    draw() {
      summary.textContent = model.loaded ? count(model.packages.size, 'package') : 'Loading…';
      table.set([...model.packages.values()].reverse());
    },
  };
}

function marks(it) {
  const verification = VERIFICATION[it.verifyStatus];
  return [
    it.type === 'DELTA' ? h('small', { class: 'mark' }, 'delta') : null,
    verification ? h('small', { class: 'mark' }, verification) : null,
  ];
}

function content(it) {
  return it.files.map((file) =>
    h(
      'div',
      { class: 'file' },
      file.name ? `${file.name}, ` : null,
      bytes(file.size),
      ' ',
      /md5/i.test(it.signMethod) ? digest('MD5', file.md5) : digest('SHA-256', file.sha256),
    ),
  );
}

function deletePackage(it) {
  confirmation({
    title: `Delete package ${it.id}?`,
    text: `Version ${it.version} of module ${it.module} of product ${it.productKey} and its content are deleted. Devices that have it keep it.`,
    action: 'Delete',
    act: async () => {
      await remove(path`/packages/${it.id}`);
      model.packages.delete(it.id);
      changed();
      announce(`Package ${it.id} is deleted.`);
    },
  });
}

function newPackage(files) {
  if (files.length === 0) {
    return;
  }
  if (model.products.size === 0) {
    announce('A package is of a product. Create one first.', true);
    newProduct();
    return;
  }
  const product = select('product', [...model.products.keys()].sort().map((it) => [it, it]));
  const modules = h('datalist', { id: uniqueId('modules') }, knownModules().map((it) => h('option', { value: it })));
  const module = input('module', { required: true, maxlength: 64, pattern: NAME, value: 'default', list: modules.id });
  const version = input('version', { required: true, maxlength: 64, pattern: NAME, value: guessVersion(files[0].name) });
  const method = select('signMethod', [['Sha256', 'SHA-256', true], ['Md5', 'MD5']]);
  const name = input('name', { maxlength: 40 });
  const from = input('srcVersion', { maxlength: 64, pattern: NAME });
  const info = h('textarea', { name: 'customInfo', rows: 2, maxlength: 4096 });
  const verify = check('needToVerify', 'A verification job has to succeed first');
  const sign = check('digestSign', 'Sign the digests with the platform’s key');
  const rows = files.map(fileRow);
  let running = [];
  let stopped = false;

  const box = dialog({
    title: 'New package',
    wide: true,
    content: [
      h('ul', { class: 'files' }, rows.map((it) => it.element)),
      h(
        'div',
        { class: 'columns' },
        field('Product', product),
        field('Module', module, 'default is the device’s own firmware.'),
        modules,
        field('Version', version, 'What a device reports once it runs it.'),
        field('Digest for devices', method),
      ),
      h(
        'details',
        {},
        h('summary', {}, 'More options'),
        field('Name', name, 'For people; up to 40 characters.'),
        field('Delta from version', from, 'Only if the file is a difference from that version.'),
        field('Text for devices', info, 'Sent as it is, up to 4096 characters.'),
        verify,
        sign,
      ),
    ],
    action: 'Upload',
    act: async () => {
      const settings = {
        product: product.value,
        module: module.value,
        version: version.value,
        signMethod: method.value,
        name: name.value,
        srcVersion: from.value,
        customInfo: info.value,
        needToVerify: verify.querySelector('input').checked || '',
        digestSign: sign.querySelector('input').checked || '',
      };
      for (const [key, value] of Object.entries(settings)) {
        if (value === '') {
          delete settings[key];
        }
      }
      running = [];
      const created =
        files.length === 1
          ? await rows[0].send(`/packages?${new URLSearchParams(settings)}`, running, () => stopped)
          : await sendSeveral(settings);
      model.packages.set(created.id, created);
      changed();
      announce(`Package ${created.id} is uploaded, and the platform has the same digests.`);
      return 'stay';
    },
  });
  box.addEventListener('close', () => {
    stopped = true;
    running.forEach((it) => it.abort());
  });
  version.focus();

  async function sendSeveral(settings) {
    const stored = [];
    for (const row of rows) {
      stored.push({ name: row.name, sha256: (await row.send('/files', running, () => stopped)).sha256 });
    }
    return post('/packages', { ...settings, files: stored });
  }
}

/** A file on its way: how much was sent, how much was hashed, and then both digests. */
function fileRow(file) {
  const progress = h('progress', { max: 100, value: 0, 'aria-label': `Upload of ${file.name}` });
  const status = h('p', { class: 'file-status' }, bytes(file.size));
  const digests = h('div', { class: 'file-digests' });
  const part = (done) => (file.size === 0 ? 100 : Math.floor((done / file.size) * 100));
  return {
    name: file.name,
    element: h('li', {}, h('strong', {}, file.name), progress, status, digests),
    async send(where, running, isStopped) {
      let sent = 0;
      let hashed = 0;
      const show = () => {
        progress.value = part(sent);
        status.textContent = `${bytes(file.size)}, ${part(sent)} % sent, ${part(hashed)} % hashed`;
      };
      const sending = upload(where, file, (done) => {
        sent = Math.min(done, file.size);
        show();
      });
      running.push(sending);
      const hashing = digestsOf(
        file,
        (done) => {
          hashed = done;
          show();
        },
        isStopped,
      );
      hashing.then(({ sha256, md5 }) => fill(digests, digest('SHA-256', sha256), digest('MD5', md5)), () => {});
      const [answer, own] = await Promise.all([sending, hashing]);
      if (answer.sha256 !== own.sha256) {
        throw new Error(`The platform has other bytes of ${file.name}: their SHA-256 is ${answer.sha256}, here it is ${own.sha256}.`);
      }
      sent = file.size;
      show();
      status.textContent = `${bytes(file.size)}, uploaded. The platform has the same SHA-256.`;
      return answer;
    },
  };
}

function knownModules() {
  const modules = new Set(['default']);
  model.devices.forEach((it) => Object.keys(it.versions).forEach((module) => modules.add(module)));
  model.packages.forEach((it) => modules.add(it.module));
  return [...modules].sort();
}

function guessVersion(fileName) {
  return /\d+(?:\.\d+)+/.exec(fileName)?.[0] ?? '';
}
