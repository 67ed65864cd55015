// Jobs: all of them, one with its tasks as they change, and new ones.

import { get, path, post } from './client.js';
import { announce, badge, button, check, confirmation, count, dialog, empty, field, fill, h, input, select, stateText, uniqueId, when } from './dom.js';
import { changed, deviceKey, model, openJob } from './model.js';
import { Table } from './table.js';

const FASTEST = 10_000; // Devices a minute: no limit.
const BATCH = 10; // How many tasks the platform takes in one call.
const SHOWN_DEVICES = 100;
const SEGMENTS = ['SUCCEEDED', 'FAILED', 'CANCELED', 'IN_PROGRESS', 'NOTIFIED', 'QUEUED', 'CONFIRM'];
const FAILURES = { '-1': 'upgrade', '-2': 'download', '-3': 'verification', '-4': 'flashing' };

export function jobsView() {
  const table = new Table({
    caption: 'Jobs',
    key: (it) => it.id,
    shows: (it) => [it, model.packages.get(it.packageId)?.version],
    columns: [
      { title: 'Job', heading: true, cell: (it) => h('a', { href: `#/jobs/${it.id}`, 'data-action': 'open' }, it.id) },
      { title: 'Brings', cell: (it) => brings(it) },
      { title: 'Kind', cell: kind },
      { title: 'State', cell: (it) => badge(it.status) },
      { title: 'Devices', class: 'wide-cell', cell: (it) => tally(it) },
      { title: 'Created', cell: (it) => when(it.createdAt) },
    ],
    empty: empty('There are no jobs yet. A job brings devices to the version of a package.'),
  });
  const summary = h('p', { class: 'summary' });
  return {
    title: 'Jobs',
    element: h(
      'div',
      {},
      h(
        'div',
        { class: 'head' },
        h('h1', {}, 'Jobs'),
        h('div', { class: 'buttons' }, button('New job', () => newJob(), { class: 'primary' })),
      ),
      summary,
      table.element,
    ),
    draw() {
      const running = [...model.jobs.values()].filter((it) => it.status === 'IN_PROGRESS').length;
      summary.textContent = model.loaded ? `${count(model.jobs.size, 'job')}, ${running} in progress` : 'Loading…';
      table.set([...model.jobs.values()].reverse());
    },
  };
}

export function jobView(id) {
  const state = select(
    'state',
    [['', 'All'], ...['FAILED', 'IN_PROGRESS', 'NOTIFIED', 'QUEUED', 'CONFIRM', 'SUCCEEDED', 'CANCELED'].map((it) => [it, stateText(it)])],
    { change: draw },
  );
  const search = h('input', { type: 'search', autocomplete: 'off', input: draw });
  const facts = h('div', {});
  const buttons = h('div', { class: 'buttons' });
  const note = h('div', {});
  let drawnFacts = '';
  const table = new Table({
    caption: `Tasks of job ${id}`,
    key: (it) => it.id,
    label: deviceKey,
    shows: (it) => it,
    columns: [
      { title: 'Device', heading: true, cell: (it) => it.deviceName },
      { title: 'State', cell: (it) => badge(it.status) },
      { title: 'Progress', cell: progress },
      { title: 'Versions', class: 'mid-cell', cell: (it) => `${it.sourceVersion} → ${it.targetVersion}` },
      { title: 'Reason', class: 'wide-cell', cell: (it) => h('span', { class: 'reason' }, it.description || '–') },
      { title: 'Changed', cell: (it) => when(it.updatedAt) },
      {
        title: 'Actions',
        class: 'actions',
        cell: (it) => [
          it.status === 'CONFIRM' ? taskButton('Confirm', 'confirm', it) : null,
          ['FAILED', 'CANCELED'].includes(it.status) ? taskButton('Retry', 'retry', it) : null,
          button('History', () => showHistory(it), { class: 'quiet', 'data-action': 'history', 'aria-label': `History of ${it.deviceName}` }),
        ],
      },
    ],
    empty: note,
  });
  openJob(id).catch((failure) => announce(failure.message, true));

  function draw() {
    const job = model.jobs.get(id);
    if (!job) {
      fill(note, empty(model.loaded ? 'There is no such job.' : 'Loading…'));
      table.set([]);
      return;
    }
    const sign = JSON.stringify([job, model.packages.get(job.packageId)]);
    if (sign !== drawnFacts) {
      drawnFacts = sign;
      fill(facts, factsOf(job));
      drawButtons(job);
    }
    const words = search.value.trim().toLowerCase();
    const tasks = [...model.tasks.values()].filter(
      (it) =>
        (!state.value || it.status === state.value) &&
        (!words || `${it.deviceName} ${it.description}`.toLowerCase().includes(words)),
    );
    fill(note, empty(model.tasks.size === 0 ? 'The job has no tasks: no device is one that it is for.' : 'No task is like that.'));
    table.set(tasks);
  }

  function drawButtons(job) {
    const focused = buttons.contains(document.activeElement) ? document.activeElement.textContent : null;
    const open = job.status === 'IN_PROGRESS' || job.status === 'PLANNED';
    fill(
      buttons,
      job.tasks.CONFIRM > 0 ? button('Confirm all', () => actOnAll('confirm', ['CONFIRM'])) : null,
      job.tasks.FAILED > 0 ? button('Retry failed', () => actOnAll('retry', ['FAILED'])) : null,
      open && job.selectionType === 'DYNAMIC' && !job.stopped ? button('Stop taking devices', () => stopJob(id)) : null,
      open ? button('Cancel job', () => cancelJob(job), { class: 'danger' }) : null,
    );
    if (focused) {
      ([...buttons.children].find((it) => it.textContent === focused) ?? document.getElementById('main')).focus();
    }
  }

  return {
    title: `Job ${id}`,
    element: h(
      'div',
      {},
      h('p', { class: 'crumbs' }, h('a', { href: '#/jobs' }, '← All jobs')),
      h('div', { class: 'head' }, h('h1', {}, `Job ${id}`), buttons),
      facts,
      h('h2', {}, 'Tasks'),
      h('div', { class: 'tools' }, field('State', state), field('Find', search)),
      table.element,
    ),
    draw,
    left: () => openJob(null),
  };
}

function taskButton(label, action, task) {
  return button(label, () => act(action, [task.id]), {
    class: 'quiet',
    'data-action': action,
    'aria-label': `${label} ${task.deviceName}`,
  });
}

async function actOnAll(action, states) {
  await act(action, [...model.tasks.values()].filter((it) => states.includes(it.status)).map((it) => it.id));
}

async function act(action, taskIds) {
  try {
    for (let i = 0; i < taskIds.length; i += BATCH) {
      await post(`/tasks/${action}`, { taskIds: taskIds.slice(i, i + BATCH) });
    }
    announce(`${count(taskIds.length, 'task is', 'tasks are')} ${action === 'retry' ? 'started again' : 'confirmed'}.`);
  } catch (failure) {
    announce(failure.message, true);
  }
}

function brings(job) {
  const it = model.packages.get(job.packageId) ?? job;
  return it.version ? [h('span', { class: 'dim' }, it.module), ` ${it.version} `, h('small', {}, `for ${it.productKey}`)] : job.packageId;
}

function kind(job) {
  if (job.jobType === 'VERIFY_FIRMWARE') {
    return 'Verify';
  }
  if (job.selectionType === 'DYNAMIC') {
    return job.stopped ? 'Dynamic, stopped' : 'Dynamic';
  }
  if (job.targetSelection === 'GRAY') {
    return `Gray, ${job.grayPercent} %`;
  }
  if (job.targetSelection === 'GROUP') {
    return `Group ${job.group}`;
  }
  return Array.isArray(job.devices) ? 'Named devices' : 'All devices';
}

function total(job) {
  return Object.values(job.tasks).reduce((sum, it) => sum + it, 0);
}

/** How many tasks are in which state: a bar to look at, and the same in words. */
function tally(job) {
  const all = total(job);
  const states = SEGMENTS.filter((it) => job.tasks[it] > 0);
  return h(
    'div',
    { class: 'tally' },
    h(
      'div',
      { class: 'tally-bar', 'aria-hidden': 'true' },
      states.map((it) => {
        const segment = h('span', { class: `segment ${it.toLowerCase()}` });
        segment.style.flexGrow = String(job.tasks[it] / Math.max(1, all));
        return segment;
      }),
    ),
    h('span', {}, all === 0 ? 'no device' : states.map((it) => `${job.tasks[it]} ${stateText(it).toLowerCase()}`).join(', ')),
  );
}

function factsOf(job) {
  const tags = Object.entries(job.tags ?? {}).map(([key, value]) => `${key}=${value}`);
  const rows = [
    ['State', badge(job.status)],
    ['Brings', brings(job)],
    ['Kind', kind(job)],
    ['Created', when(job.createdAt)],
    ['From versions', job.srcVersions?.length ? job.srcVersions.join(', ') : null],
    ['Starts', job.scheduleTime ? when(job.scheduleTime) : null],
    ['Ends', job.scheduleFinishTime ? when(job.scheduleFinishTime) : null],
    ['Time limit', job.timeoutInMinutes ? count(job.timeoutInMinutes, 'minute') : 'none'],
    ['At most', job.maximumPerMinute < FASTEST ? `${job.maximumPerMinute} devices a minute` : null],
    ['Retries', job.retryCount ? `${job.retryCount}, ${job.retryInterval ? `after ${count(job.retryInterval, 'minute')}` : 'at once'}` : null],
    ['Push', job.needPush === false ? 'no, devices ask' : null],
    ['Confirmation', job.needConfirm ? 'needed' : null],
    ['Download', job.downloadProtocol === 'MQTT' ? 'MQTT' : null],
    ['Earlier tasks', job.overwriteMode === 2 ? 'replaced' : null],
    ['Several modules', job.multiModule ? 'at once' : null],
    ['Tags', tags.length ? tags.join(', ') : null],
  ].filter(([, value]) => value !== null);
  return [
    h('div', { class: 'card' }, tally(job), h('dl', { class: 'facts' }, rows.map(([term, value]) => h('div', {}, h('dt', {}, term), h('dd', {}, value))))),
  ];
}

function progress(task) {
  if (task.step < 0) {
    return `${FAILURES[task.step] ?? 'step'} failed (−${-task.step})`;
  }
  const percent = task.status === 'SUCCEEDED' ? 100 : task.step;
  return h(
    'span',
    { class: 'progress' },
    h('progress', { max: 100, value: percent, 'aria-label': `Progress of ${task.deviceName}` }),
    ` ${percent} %`,
  );
}

function showHistory(task) {
  const entries = task.history?.length
    ? task.history
    : [
        { status: 'QUEUED', at: task.createdAt },
        { status: task.status, at: task.updatedAt, description: task.description },
      ];
  dialog({
    title: `History of ${task.deviceName}`,
    cancel: 'Close',
    wide: true,
    content: h(
      'ol',
      { class: 'history' },
      entries.map((it) => h('li', {}, badge(it.status), ' ', when(it.at), it.description ? h('p', { class: 'reason' }, it.description) : null)),
    ),
  });
}

function stopJob(id) {
  confirmation({
    title: `Stop job ${id} from taking devices?`,
    text: 'Devices that it has go on. It cannot be started again.',
    action: 'Stop',
    act: async () => {
      model.jobs.set(id, await post(path`/jobs/${id}/stop`));
      changed();
      announce(`Job ${id} takes no more devices.`);
    },
  });
}

function cancelJob(job) {
  const flags = [
    ['cancelScheduledTask', 'Planned: the job has not started', job.status === 'PLANNED' ? job.tasks.QUEUED : 0],
    ['cancelUnconfirmedTask', 'To be confirmed', job.tasks.CONFIRM ?? 0],
    ['cancelQueuedTask', 'Queued: not yet pushed', job.status === 'PLANNED' ? 0 : job.tasks.QUEUED],
    ['cancelNotifiedTask', 'Pushed: the device was told', job.tasks.NOTIFIED],
    ['cancelInProgressTask', 'In progress: the device has begun', job.tasks.IN_PROGRESS],
  ].map(([name, label, tasks]) => ({ name, control: check(name, `${label} (${tasks})`, { checked: true }) }));
  dialog({
    title: `Cancel job ${job.id}?`,
    content: [
      h('p', {}, 'Devices are not told: one that was pushed to may still carry the upgrade out. What has ended keeps its result.'),
      h('fieldset', {}, h('legend', {}, 'Tasks to cancel'), flags.map((it) => it.control)),
    ],
    action: 'Cancel job',
    cancel: 'Keep',
    danger: true,
    act: async () => {
      const chosen = Object.fromEntries(flags.map((it) => [it.name, it.control.querySelector('input').checked]));
      const all = Object.values(chosen).every(Boolean);
      const after = await post(path`/jobs/${job.id}/cancel`, all ? undefined : chosen);
      model.jobs.set(after.id, after);
      changed();
      announce(all ? `Job ${job.id} is cancelled.` : `The chosen tasks of job ${job.id} are cancelled.`);
    },
  });
}

/** The form for a job. */
export function newJob(packageId) {
  if (model.packages.size === 0) {
    announce('A job brings a package. Upload one first.', true);
    return;
  }
  const packages = select(
    'package',
    [...model.packages.values()].reverse().map((it) => [it.id, `${it.id}: ${it.module} ${it.version} for ${it.productKey}`, it.id === packageId]),
    { change: packageChanged },
  );
  const devices = devicePicker(() => model.packages.get(packages.value));
  const kinds = [
    ['all', 'All devices', 'Every device of the product that has reported the module.'],
    ['named', 'Named devices', 'Those that you choose.'],
    ['gray', 'Gray', 'A share of the devices first.'],
    ['group', 'Group', 'The devices of a group.'],
    ['dynamic', 'Dynamic', 'Also devices that come later.'],
    ['verify', 'Verify', 'Up to 10 devices, to try the package.'],
  ];
  const radios = kinds.map(([value, label, help], i) => {
    const id = uniqueId('kind');
    return h(
      'label',
      { class: 'choice' },
      h('input', { type: 'radio', name: 'kind', value, checked: i === 0, 'aria-describedby': id, change: kindChanged }),
      h('span', {}, h('strong', {}, label), h('small', { id }, help)),
    );
  });
  const percent = input('grayPercent', { type: 'number', min: 0.001, max: 100, step: 0.001, value: 10, required: true });
  const group = h('select', { name: 'group', required: true });
  const mode = select('dynamicMode', [['1', 'All that match now or later', true], ['2', 'Only those that report a matching version later']]);
  const grayField = field('Share of the devices, in percent', percent, 'Rounded down, but one device at least.');
  const groupField = field('Group', group, 'Groups of devices are made with the REST API.');
  const modeField = field('Devices', mode);

  const sources = input('srcVersions', { placeholder: 'any' });
  const timeout = input('timeoutInMinutes', { type: 'number', min: 1, max: 1440, step: 1, placeholder: 'none' });
  const rate = input('maximumPerMinute', { type: 'number', min: 10, max: 10000, step: 1, placeholder: '10000' });
  const retryCount = select('retryCount', [['', 'None', true], ['1', '1'], ['2', '2'], ['5', '5']]);
  const retryInterval = select('retryInterval', [['0', 'At once', true], ['10', 'After 10 minutes'], ['30', 'After 30 minutes'], ['60', 'After an hour'], ['1440', 'After a day']]);
  const overwrite = select('overwriteMode', [['1', 'Keep it; the new task fails', true], ['2', 'Replace it, unless it is in progress']]);
  const protocol = select('downloadProtocol', [['HTTPS', 'HTTP', true], ['MQTT', 'MQTT, in blocks']]);
  const starts = input('scheduleTime', { type: 'datetime-local' });
  const ends = input('scheduleFinishTime', { type: 'datetime-local' });
  const tags = h('textarea', { name: 'tags', rows: 2, placeholder: 'key=value' });
  const push = check('needPush', 'Push to devices; otherwise they have to ask', { checked: true });
  const confirm = check('needConfirm', 'Each task waits until it is confirmed here');
  const several = check('multiModule', 'A device may upgrade several modules at once');

  dialog({
    title: 'New job',
    wide: true,
    content: [
      field('Package', packages),
      h('fieldset', { class: 'choices' }, h('legend', {}, 'For which devices'), radios),
      devices.element,
      grayField,
      groupField,
      modeField,
      h(
        'details',
        {},
        h('summary', {}, 'More options'),
        h(
          'div',
          { class: 'columns' },
          field('From versions', sources, 'Separated by commas; any if empty.'),
          field('Time limit in minutes', timeout, 'Counts from a device’s first progress.'),
          field('Devices a minute', rate, '10 to 10000.'),
          field('If a device has an unfinished task', overwrite),
          field('Automatic retries', retryCount),
          field('Retry', retryInterval, 'A task that ran out of time is not retried.'),
          field('Start', starts, 'In 5 minutes to 7 days; now if empty.'),
          field('End', ends, 'An hour to 30 days after the start.'),
          field('Download by', protocol),
          field('Tags for devices', tags, 'One a line, at most 10.'),
        ),
        push,
        confirm,
        several,
      ),
    ],
    action: 'Start job',
    act: async () => {
      const created = await post('/jobs', request());
      model.jobs.set(created.id, created);
      changed();
      announce(`Job ${created.id} is started.`);
      location.hash = `#/jobs/${created.id}`;
    },
  });
  kindChanged();
  packageChanged();

  function packageChanged() {
    const { productKey } = model.packages.get(packages.value);
    devices.reset();
    fill(group);
    get(path`/products/${productKey}/groups`).then(
      (groups) => fill(group, groups.map((it) => h('option', { value: it.name }, `${it.name}, ${count(it.devices.length, 'device')}`))),
      (failure) => announce(failure.message, true),
    );
  }

  function chosenKind() {
    return radios.map((it) => it.querySelector('input')).find((it) => it.checked).value;
  }

  function kindChanged() {
    const chosen = chosenKind();
    devices.element.hidden = chosen !== 'named' && chosen !== 'verify';
    for (const [block, control, value] of [[grayField, percent, 'gray'], [groupField, group, 'group'], [modeField, mode, 'dynamic']]) {
      block.hidden = chosen !== value;
      control.disabled = chosen !== value;
    }
  }

  function request() {
    const kind = chosenKind();
    const named = kind === 'named' || kind === 'verify';
    if (named && devices.chosen().length === 0) {
      throw new Error('Choose at least one device.');
    }
    const versions = sources.value.split(',').map((it) => it.trim()).filter(Boolean);
    const body = {
      packageId: packages.value,
      devices: named ? devices.chosen() : undefined,
      srcVersions: versions.length ? versions : undefined,
      timeoutInMinutes: number(timeout),
      needPush: push.querySelector('input').checked,
      overwriteMode: Number(overwrite.value),
      multiModule: several.querySelector('input').checked,
      tags: tagsOf(tags.value),
      maximumPerMinute: number(rate),
      retryCount: number(retryCount),
      retryInterval: retryCount.value ? number(retryInterval) : undefined,
      needConfirm: confirm.querySelector('input').checked || undefined,
      downloadProtocol: protocol.value === 'MQTT' ? 'MQTT' : undefined,
      scheduleTime: instant(starts),
      scheduleFinishTime: instant(ends),
    };
    if (kind === 'gray') {
      Object.assign(body, { targetSelection: 'GRAY', grayPercent: Number(percent.value) });
    } else if (kind === 'group') {
      Object.assign(body, { targetSelection: 'GROUP', group: group.value });
    } else if (kind === 'dynamic') {
      Object.assign(body, { selectionType: 'DYNAMIC', dynamicMode: Number(mode.value) });
    } else if (kind === 'verify') {
      body.jobType = 'VERIFY_FIRMWARE';
    }
    return body;
  }
}

function number(control) {
  return control.value === '' ? undefined : Number(control.value);
}

function instant(control) {
  return control.value ? new Date(control.value).toISOString() : undefined;
}

function tagsOf(text) {
  const lines = text.split('\n').map((it) => it.trim()).filter(Boolean);
  const tags = {};
  for (const line of lines) {
    const at = line.indexOf('=');
    if (at < 1) {
      throw new Error(`A tag is written key=value, not “${line}”.`);
    }
    tags[line.slice(0, at).trim()] = line.slice(at + 1).trim();
  }
  return lines.length ? tags : undefined;
}

/** Devices of a package's product that have reported its module; a search narrows what may be thousands. */
function devicePicker(firmware) {
  const chosen = new Set();
  const list = h('div', { class: 'picker-list' });
  const found = h('p', { class: 'dim', role: 'status' });
  const search = h('input', { type: 'search', autocomplete: 'off', input: draw });

  function draw() {
    const target = firmware();
    const words = search.value.trim().toLowerCase();
    const fitting = [...model.devices.values()]
      .filter((it) => it.productKey === target.productKey && target.module in it.versions)
      .filter((it) => !words || it.deviceName.toLowerCase().includes(words))
      .sort((a, b) => (deviceKey(a) < deviceKey(b) ? -1 : 1));
    fill(
      list,
      fitting.slice(0, SHOWN_DEVICES).map((it) =>
        check('device', `${it.deviceName}, ${it.versions[target.module]}, ${it.online ? 'online' : 'offline'}`, {
          checked: chosen.has(it.deviceName),
          change: (event) => {
            if (event.target.checked) {
              chosen.add(it.deviceName);
            } else {
              chosen.delete(it.deviceName);
            }
            say(fitting.length);
          },
        }),
      ),
    );
    say(fitting.length);
  }

  function say(fitting) {
    const hidden = fitting > SHOWN_DEVICES ? ` The first ${SHOWN_DEVICES} are shown; search for the others.` : '';
    found.textContent = `${count(fitting, 'device')}, ${chosen.size} chosen.${hidden}`;
  }

  draw();
  return {
    element: h('fieldset', { class: 'picker' }, h('legend', {}, 'Devices'), field('Find', search), list, found),
    chosen: () => [...chosen],
    reset: () => {
      chosen.clear();
      draw();
    },
  };
}
