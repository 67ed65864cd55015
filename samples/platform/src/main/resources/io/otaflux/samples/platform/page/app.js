// The frame of the page: signing in, the views, and whether it is live.

import { Refused, get, hasToken, useToken } from './client.js';
import { announce, field, fill, h, input, stateText } from './dom.js';
import { devicesView } from './devices.js';
import { jobView, jobsView } from './jobs.js';
import { forget, model, onChange, start } from './model.js';
import { packagesView } from './packages.js';

const main = document.getElementById('main');
const LINKS = { connecting: 'Connecting', live: 'Live', lost: 'Reconnecting' };

let stop = null;
let leave = null;

/** A token in the address goes out of it before anything else happens. */
function takeToken() {
  const found = /^#token=([^&]+)/.exec(location.hash);
  if (found) {
    useToken(decodeURIComponent(found[1]));
    history.replaceState(null, '', '/#/devices');
  }
  return Boolean(found);
}

function showSignIn(problem) {
  end();
  document.title = 'Sign in – OtaFlux platform';
  const token = input('token', { type: 'password', autocomplete: 'current-password', required: true });
  const wrong = h('p', { class: 'problem', role: 'alert' });
  fill(
    main,
    h(
      'form',
      {
        class: 'card sign-in',
        submit: async (event) => {
          event.preventDefault();
          wrong.textContent = '';
          useToken(token.value.trim());
          try {
            await get('/products');
            begin();
            main.focus();
          } catch (failure) {
            useToken(null);
            wrong.textContent = reason(failure);
            token.focus();
          }
        },
      },
      h('h1', {}, 'Sign in'),
      h('p', {}, 'The platform wants its access token. It is in the file ', h('code', {}, 'token'), ' of the platform’s data directory, and in the link that was printed when it started.'),
      field('Access token', token),
      wrong,
      h('div', { class: 'buttons' }, h('button', { type: 'submit', class: 'primary' }, 'Sign in')),
    ),
  );
  wrong.textContent = problem ?? '';
  token.focus();
}

function reason(failure) {
  return failure instanceof Refused && failure.status === 401 ? 'That is not the token of this platform.' : failure.message;
}

function begin() {
  document.getElementById('views').hidden = false;
  document.getElementById('session').hidden = false;
  stop = start({
    state: showLink,
    refused: (failure) => {
      useToken(null);
      showSignIn(reason(failure));
    },
  });
  route();
}

function end() {
  stop?.();
  stop = null;
  leave?.();
  leave = null;
  forget();
  document.getElementById('views').hidden = true;
  document.getElementById('session').hidden = true;
}

function showLink(state) {
  const link = document.getElementById('link');
  if (link.dataset.state === state) {
    return;
  }
  if (state === 'lost') {
    announce('The connection to the platform is lost. What is shown may be old.', true);
  } else if (link.dataset.state === 'lost' && state === 'live') {
    announce('Connected again.');
  }
  link.dataset.state = state;
  document.getElementById('link-text').textContent = LINKS[state];
}

function route() {
  leave?.();
  const [view, id] = location.hash.replace(/^#\//, '').split('/').map(decodeURIComponent);
  const views = { devices: devicesView, packages: packagesView, jobs: id ? jobView : jobsView };
  const name = views[view] ? view : 'devices';
  for (const link of document.querySelectorAll('#views a')) {
    if (link.getAttribute('href') === `#/${name}`) {
      link.setAttribute('aria-current', 'page');
    } else {
      link.removeAttribute('aria-current');
    }
  }
  const { title, element, draw, left } = views[name](id);
  document.title = `${title} – OtaFlux platform`;
  fill(main, element);
  const drawn = onChange(draw);
  draw();
  leave = () => {
    drawn();
    left?.();
  };
}

/** Ends of jobs are said aloud wherever one is. */
const ended = new Map();
onChange(() => {
  for (const [id, job] of model.jobs) {
    const before = ended.get(id);
    ended.set(id, job.status);
    if (before && before !== job.status && (job.status === 'COMPLETED' || job.status === 'CANCELED')) {
      announce(`Job ${id}: ${stateText(job.status).toLowerCase()}. ${job.tasks.SUCCEEDED} succeeded, ${job.tasks.FAILED} failed.`);
    }
  }
});

document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});
document.getElementById('sign-out').addEventListener('click', () => {
  useToken(null);
  showSignIn();
});
window.addEventListener('hashchange', () => {
  if (takeToken()) {
    end();
    begin();
  } else if (stop) {
    route();
    main.focus();
    window.scrollTo(0, 0);
  }
});

takeToken();
if (hasToken()) {
  begin();
} else {
  showSignIn();
}
