// What the page knows of the platform: loaded whole when the stream of events is open, and kept up to date by that.

import { follow, get, path } from './client.js';

const REFETCH = 1000;

export const model = {
  products: new Map(),
  devices: new Map(),
  packages: new Map(),
  jobs: new Map(),
  tasks: new Map(),
  openJob: null,
  loaded: false,
};

export const deviceKey = (it) => `${it.productKey}/${it.deviceName}`;

const listeners = new Set();
let scheduled = false;
let stale = new Set();
let refetching = 0;

/** Calls back after changes, at most once a frame. Returns what ends it. */
export function onChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function changed() {
  if (!scheduled) {
    scheduled = true;
    // Not requestAnimationFrame: a page in the background is not drawn, and still announces.
    setTimeout(() => {
      scheduled = false;
      listeners.forEach((listener) => listener());
    }, 50);
  }
}

/** Follows the platform; returns what ends it. */
export function start({ state, refused }) {
  state('connecting');
  return follow({
    opened: async () => {
      await load();
      state('live');
    },
    event: apply,
    lost: () => state('lost'),
    refused,
  });
}

export function forget() {
  for (const it of ['products', 'devices', 'packages', 'jobs', 'tasks']) {
    model[it] = new Map();
  }
  model.openJob = null;
  model.loaded = false;
}

async function load() {
  const [products, packages, jobs] = await Promise.all([get('/products'), get('/packages'), get('/jobs')]);
  const devices = (await Promise.all(products.map((it) => get(path`/products/${it.productKey}/devices`)))).flat();
  model.products = new Map(products.map((it) => [it.productKey, it]));
  model.packages = new Map(packages.map((it) => [it.id, it]));
  model.jobs = new Map(jobs.map((it) => [it.id, it]));
  model.devices = new Map(devices.map((it) => [deviceKey(it), it]));
  await loadTasks();
  model.loaded = true;
  changed();
}

/** Has the tasks of one job here, and no others; null for none. */
export async function openJob(jobId) {
  model.openJob = jobId;
  model.tasks = new Map();
  if (jobId && model.loaded) {
    await loadTasks();
    changed();
  }
}

async function loadTasks() {
  const jobId = model.openJob;
  if (jobId && model.jobs.has(jobId)) {
    const newer = model.tasks;
    const tasks = await get(path`/jobs/${jobId}/tasks`);
    if (model.openJob === jobId) {
      model.tasks = new Map(tasks.map((it) => [it.id, it]));
      for (const [id, task] of newer) {
        if (Date.parse(task.updatedAt) > Date.parse(model.tasks.get(id)?.updatedAt ?? 0)) {
          model.tasks.set(id, task);
        }
      }
    }
  }
}

function apply(name, data) {
  if (name === 'task') {
    if (data.jobId === model.openJob) {
      model.tasks.set(data.id, data);
    }
    refetchSoon(data.jobId);
  } else if (name === 'job') {
    stale.delete(data.id);
    model.jobs.set(data.id, data);
  } else if (name === 'device') {
    model.devices.set(deviceKey(data), data);
  } else if (name === 'device-removed') {
    model.devices.delete(deviceKey(data));
  } else if (name === 'package') {
    model.packages.set(data.id, data);
  } else if (name === 'package-removed') {
    model.packages.delete(data.id);
  } else if (name === 'product') {
    model.products.set(data.productKey, data);
  } else {
    return;
  }
  changed();
}

/** How far a job is follows from its tasks; it is asked for once for many of their changes. */
function refetchSoon(jobId) {
  stale.add(jobId);
  refetching ||= setTimeout(async () => {
    refetching = 0;
    const jobs = [...stale];
    stale = new Set();
    for (const id of jobs) {
      try {
        model.jobs.set(id, await get(path`/jobs/${id}`));
        changed();
      } catch {
        // The stream says so if the platform is gone, and then everything is loaded again.
      }
    }
  }, REFETCH);
}
