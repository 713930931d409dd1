import type { JobIntegrationRequest } from '@graft/wire/integration';
import type { Egress } from '../../egress/post-pinned.ts';
import type { Job } from '../../jobs/job.ts';
import type { Integration } from '../integration.ts';
import { createMlflowTracker } from './mlflow.ts';
import { createAsk } from './service-http.ts';
import { configOf, type Tracker, TrackerError, type TrackerRun } from './tracker.ts';
import { createTrackioTracker, isHubToken } from './trackio.ts';
import { createWandbTracker } from './wandb.ts';

/** Maximum characters of a run's names and URL together, as JSON. Those of real servers have some hundred. */
const longestRun = 8_000;

/** The team's account, with its opened secret. */
type Account = Pick<Integration, 'url' | 'username'> & { secret: string | null };
interface Way {
  egress: Egress;
  signal: AbortSignal;
}

/** Creates the tracker for a job's integration. */
export function createTracker(request: JobIntegrationRequest, job: Job, account: Account, way: Way): Tracker {
  const { type } = request;
  const tracker = trackerOf(request, job, account, way);
  return {
    open: async () => checkRun(type, await judged(type, tracker.open())),
    send: async (...args) => checkRun(type, await judged(type, tracker.send(...args))),
    finish: async (...args) => await judged(type, tracker.finish(...args)),
  };
}

/** Trackers access an answer's fields unchecked; on any other answer that is a TypeError, which this reports as an odd answer. */
async function judged<T>(type: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof TypeError) throw odd(type);
    throw error;
  }
}

/** Checks the size of a run, which is stored and shown, because the server may return anything. */
function checkRun(type: string, run: TrackerRun): TrackerRun {
  if (typeof run.id !== 'string' || JSON.stringify(run).length > longestRun) throw odd(type);
  return run;
}

function odd(type: string): TrackerError {
  return new TrackerError(
    'refused',
    `Its answer is not one of a ${type} server: this is the URL of another.`,
  );
}

function trackerOf(
  request: JobIntegrationRequest,
  job: Job,
  { url, username, secret }: Account,
  { egress, signal }: Way,
): Tracker {
  const about = { jobId: job.id, url, config: configOf(job) };
  const askWith = (headers: Record<string, string>) => createAsk({ url, headers }, egress, signal);
  const basic = (user: string) => `Basic ${Buffer.from(`${user}:${secret ?? ''}`).toString('base64')}`;
  switch (request.type) {
    case 'wandb':
      return createWandbTracker(request.wandb, about, askWith({ authorization: basic('api') }));
    case 'mlflow': {
      const authorization = username !== null ? basic(username) : `Bearer ${secret}`;
      return createMlflowTracker(request.mlflow, about, askWith(secret === null ? {} : { authorization }));
    }
    case 'trackio': {
      const token = secret ?? '';
      const hubToken = isHubToken(token) ? token : null;
      const headers: Record<string, string> =
        hubToken === null ? { 'x-trackio-write-token': token } : { authorization: `Bearer ${token}` };
      return createTrackioTracker(request.trackio, { ...about, hubToken }, askWith(headers));
    }
  }
}
