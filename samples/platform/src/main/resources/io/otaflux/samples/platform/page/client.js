// The REST API of the platform: calls, uploads, and its stream of events. The token is kept in this tab only, and goes out
// only in a header that no other site can have a browser send.

const BASE = '/api/v1';
const KEY = 'otaflux-token';
const SILENCE = 45_000; // The platform says something every 15 s.
const LONGEST_WAIT = 15_000;

let token = sessionStorage.getItem(KEY);

export class Refused extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export function useToken(value) {
  token = value;
  if (value) {
    sessionStorage.setItem(KEY, value);
  } else {
    sessionStorage.removeItem(KEY);
  }
}

export function hasToken() {
  return Boolean(token);
}

/** A path with each value written as a path or a query needs it. */
export function path(strings, ...values) {
  return strings.reduce((text, part, i) => text + encodeURIComponent(values[i - 1]) + part);
}

export const get = (where) => call('GET', where);
export const post = (where, body) => call('POST', where, body);
export const remove = (where) => call('DELETE', where);

async function call(method, where, body) {
  let response;
  try {
    response = await fetch(BASE + where, {
      method,
      headers: headers(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: 'no-store',
      credentials: 'omit',
    });
  } catch {
    throw new Refused(0, 'UNREACHABLE', 'The platform does not answer.');
  }
  return answer(response.status, await response.text());
}

function headers(more) {
  return token ? { ...more, Authorization: `Bearer ${token}` } : more;
}

function answer(status, text) {
  let body = null;
  try {
    body = text ? JSON.parse(text) : null;
  } catch {
    // Not from the platform's API; the status has to do.
  }
  if (status >= 200 && status < 300) {
    return body;
  }
  throw new Refused(status, body?.code ?? 'FAILED', sentence(body?.message ?? `the platform answered with status ${status}`));
}

function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? '' : '.');
}

/** Sends a file as it is. The promise has an abort(). */
export function upload(where, body, onProgress) {
  const request = new XMLHttpRequest();
  const sent = new Promise((resolve, reject) => {
    request.upload.addEventListener('progress', (event) => onProgress(event.loaded));
    request.addEventListener('load', () => {
      try {
        resolve(answer(request.status, request.responseText));
      } catch (refused) {
        reject(refused);
      }
    });
    request.addEventListener('error', () => reject(new Refused(0, 'UNREACHABLE', 'The upload broke off.')));
    request.addEventListener('abort', () => reject(new Refused(0, 'ABORTED', 'The upload was stopped.')));
    request.open('PUT', BASE + where);
    for (const [name, value] of Object.entries(headers({ 'Content-Type': 'application/octet-stream' }))) {
      request.setRequestHeader(name, value);
    }
    request.send(body);
  });
  sent.abort = () => request.abort();
  return sent;
}

/**
 * Follows the platform's events for ever. EventSource cannot send the token other than in the address, where it would get
 * into logs; so the stream is read by hand.
 *
 * @param {{opened: function, event: function, lost: function, refused: function}} listener
 * @return a function that ends it
 */
export function follow(listener) {
  let ended = false;
  let current = null;
  (async () => {
    for (let attempt = 0; !ended; attempt++) {
      if (attempt > 0) {
        const longest = Math.min(LONGEST_WAIT, 500 * 2 ** Math.min(attempt, 6));
        await new Promise((resolve) => setTimeout(resolve, longest * (0.5 + Math.random() / 2)));
        if (ended) {
          return;
        }
      }
      current = new AbortController();
      try {
        await read(current, listener, () => {
          attempt = 0;
        });
      } catch (problem) {
        if (problem.status === 401) {
          listener.refused(problem);
          return;
        }
      }
      if (!ended) {
        listener.lost();
      }
    }
  })();
  return () => {
    ended = true;
    current?.abort();
  };
}

async function read(controller, listener, onOpen) {
  let watch = 0;
  const heard = () => {
    clearTimeout(watch);
    watch = setTimeout(() => controller.abort(), SILENCE);
  };
  try {
    heard();
    const response = await fetch(`${BASE}/events`, {
      headers: headers({ Accept: 'text/event-stream' }),
      cache: 'no-store',
      credentials: 'omit',
      signal: controller.signal,
    });
    if (!response.ok) {
      answer(response.status, await response.text());
    }
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    let opened = false;
    for (;;) {
      const { value, done } = await reader.read();
      if (done) {
        return;
      }
      heard();
      if (!opened) {
        // From here on the platform tells what happens. What it says meanwhile waits in the stream.
        opened = true;
        await listener.opened();
        onOpen();
      }
      rest += value;
      const messages = rest.split('\n\n');
      rest = messages.pop();
      for (const message of messages) {
        dispatch(message, listener);
      }
    }
  } finally {
    clearTimeout(watch);
  }
}

function dispatch(message, listener) {
  let name = 'message';
  const data = [];
  for (const line of message.split('\n')) {
    if (line.startsWith('event:')) {
      name = line.slice(6).trim();
    } else if (line.startsWith('data:')) {
      data.push(line.slice(5).trimStart());
    }
  }
  if (data.length > 0) {
    listener.event(name, JSON.parse(data.join('\n')));
  }
}
