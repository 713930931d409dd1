import type { JobIntegrationRequest, TrackioSettings } from '@graft/wire/integration';
import type { Logger } from 'pino';
import type { Database } from '../../database/database.ts';
import { createEgress, type Egress, EgressError, type SendingTimes } from '../../egress/post-pinned.ts';
import type { ServiceEnv } from '../../environment/env.ts';
import { isTerminal, type Job } from '../../jobs/job.ts';
import { getJob } from '../../jobs/records/read-jobs.ts';
import { type Closable, startClaiming } from '../../repeat.ts';
import { unseal } from '../../secrets/sealed-secret.ts';
import type { Secrets } from '../../secrets/secrets.ts';
import type { TeamShares } from '../../work/leased-work.ts';
import type { Integration } from '../integration.ts';
import { integrationRules, sealedForIntegration } from '../manage-integrations.ts';
import { createMlflowTracker } from '../trackers/mlflow.ts';
import { type AskService, bodyOf, createAsk } from '../trackers/service-http.ts';
import { configOf, type Tracker, TrackerError, type TrackerRun, valuesOf } from '../trackers/tracker.ts';
import { createWandbTracker } from '../trackers/wandb.ts';
import {
  type ClaimedIntegration,
  claimIntegrations,
  readUnsent,
  recordFailure,
  recordFinished,
  recordIdle,
  recordRun,
  recordSent,
  type SendingLimits,
  stopSending,
} from './integration-work.ts';

type SendServices = Database & { env: ServiceEnv; log: Logger; secrets: Secrets };

/** Limits and intervals of sending. The defaults are for production; tests shorten them. */
export interface IntegrationTimes extends SendingLimits, Required<TeamShares>, SendingTimes {
  leaseSeconds: number;
  /** Maximum number of metrics per request. */
  batch: number;
}

const defaults: IntegrationTimes = {
  pollMs: 2_000,
  concurrency: 16,
  perTeam: 4,
  keptForOthers: 4,
  leaseSeconds: 120,
  connectMs: 5_000,
  wholeMs: 15_000,
  batch: 500,
  firstSeconds: 5,
  longestSeconds: 600,
  maxRefusals: 6,
  giveUpSeconds: 24 * 3600,
};

/**
 * Sends jobs' metrics to the experiment trackers of their teams. Postgres records what was sent, beside the metrics: nothing is kept in
 * memory, no job waits for it, and any API process continues where the last one stopped. `close` interrupts running requests, which
 * are then sent again.
 */
export function startIntegrationSender(
  services: SendServices,
  overrides: Partial<IntegrationTimes> = {},
): Closable {
  const times = { ...defaults, ...overrides };
  const { log } = services;
  return startClaiming<ClaimedIntegration>({
    name: 'integrations',
    ...times,
    log,
    claim: (count) => claimIntegrations(services, { ...times, count }),
    work: async (claimed, { claimedAt, closing: signal }) => {
      const deadline = claimedAt + times.leaseSeconds * 500;
      await sendMetrics(services, claimed, { times, deadline, signal });
    },
    onFault: (err, { teamId, jobId }) => log.warn({ err, teamId, jobId }, 'sending metrics failed'),
  });
}

interface Sending {
  times: IntegrationTimes;
  /** `performance.now()` until which the lease is certainly held. */
  deadline: number;
  signal: AbortSignal;
}

async function sendMetrics(
  services: SendServices,
  first: ClaimedIntegration,
  sending: Sending,
): Promise<void> {
  const { times, signal } = sending;
  try {
    await sendAll(services, first, sending);
  } catch (error) {
    if (!(error instanceof TrackerError)) throw error;
    // This process itself interrupted it: another one may retry immediately.
    if (signal.aborted) return await recordIdle(services, first, 0);
    const outcome = await recordFailure(services, first, error, times);
    const { teamId, jobId, type } = first;
    const detail = error.cause instanceof EgressError ? `: ${error.cause.detail}` : '';
    services.log.warn(
      { teamId, jobId, reason: `${type}: ${error.kind}${detail}` },
      `sending metrics failed: ${outcome}`,
    );
  }
}

async function sendAll(
  services: SendServices,
  first: ClaimedIntegration,
  { times, deadline, signal }: Sending,
): Promise<void> {
  let claimed = first;
  const { teamId, jobId, type } = claimed;
  let job = await getJob(services, teamId, jobId);
  if (!job) return;
  const integration = await openIntegration(services, teamId, type);
  if (typeof integration === 'string') return await stopSending(services, claimed, integration);
  const egress = createEgress(await integrationRules(services, teamId), times, async () => {
    if ((await services.db.integration.count({ where: { teamId, type, disabledAt: null } })) === 0)
      throw new EgressError('The integration was disabled or deleted.');
  });
  const tracker = createTracker(claimed.settings, job, integration, { egress, signal });
  for (;;) {
    // Read before the metrics: if the job has ended, all its metrics are then there.
    job = await getJob(services, teamId, jobId);
    if (!job) return;
    const points = await readUnsent(services, claimed, times.batch);
    if (points.length === 0) {
      if (!isTerminal(job.state)) return await recordIdle(services, claimed, times.pollMs / 1000);
      if (claimed.run) await tracker.finish(claimed.run, job);
      return await recordFinished(services, claimed);
    }
    if (performance.now() > deadline) return await recordIdle(services, claimed, 0);
    if (!claimed.run) {
      claimed = { ...claimed, run: await tracker.open() };
      if (!(await recordRun(services, claimed, claimed.run!))) return;
    }
    const run = await tracker.send(claimed.run!, points, claimed.sent);
    const lastOf = (kind: string, before: number) =>
      points.findLast((point) => point.kind === kind)?.step ?? before;
    claimed = {
      ...claimed,
      run,
      trainStep: lastOf('train', claimed.trainStep),
      evaluationStep: lastOf('evaluation', claimed.evaluationStep),
      sent: claimed.sent + points.length,
    };
    if (!(await recordSent(services, claimed, claimed))) return;
  }
}

/** Returns the integration with its opened secret, or a message why there is none. */
async function openIntegration(
  { db, secrets }: Pick<SendServices, 'db' | 'secrets'>,
  teamId: string,
  type: string,
): Promise<{ url: string; username: string | null; secret: string | null } | string> {
  const row = await db.integration.findFirst({ where: { teamId, type } });
  if (!row) return `Your team has no ${type} integration any more.`;
  const { url, username, sealed, sealedBy } = row;
  if (row.disabledAt) return `The ${type} integration of your team was disabled. ${row.disabledReason}`;
  if (!sealed) return { url, username, secret: null };
  const secret = await unseal(secrets, sealedForIntegration(row), { sealed, sealedBy });
  if (secret === null)
    return `The secret of your ${type} integration cannot be read any more: give it again.`;
  return { url, username, secret };
}

/** Maximum characters of a run's names and URL together, as JSON. Those of real servers have some hundred. */
const longestRun = 8_000;

/** The team's account, with its opened secret. */
type Account = Pick<Integration, 'url' | 'username'> & { secret: string | null };
interface Way {
  egress: Egress;
  signal: AbortSignal;
}

function createTracker(request: JobIntegrationRequest, job: Job, account: Account, way: Way): Tracker {
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

/** Client of trackio's server: `POST /api/bulk_log`, used as trackio's own client does. */
function createTrackioTracker(
  settings: TrackioSettings,
  {
    jobId,
    url,
    config,
    hubToken,
  }: { jobId: string; url: string; config: Record<string, unknown>; hubToken: string | null },
  ask: AskService,
): Tracker {
  const { project, group = null } = settings;
  const run = settings.name ?? jobId;
  return {
    // The first metric creates the run.
    open: async () => ({ id: jobId, url: `${url}/?project=${encodeURIComponent(project)}` }),
    async send(kept, points, sent) {
      const logs = points.map((point, i) => ({
        project,
        run,
        run_id: jobId,
        metrics: valuesOf(point),
        step: point.step,
        // An id is stored once, however often it is sent.
        log_id: `${jobId}:${point.kind}:${point.step}`,
        config: sent === 0 && i === 0 ? { ...config, ...(group !== null && { _Group: group }) } : null,
      }));
      const answer = await ask({
        method: 'POST',
        path: '/api/bulk_log',
        body: { args: [], kwargs: { logs, hf_token: hubToken } },
      });
      const { status, body } = answer;
      const { error = null } = (body ?? {}) as { error?: unknown };
      if (status === 404)
        throw new TrackerError('refused', 'It answered 404: there is no trackio server at this URL.');
      if (status === 400 || (status === 200 && error !== null))
        throw new TrackerError(
          'refused',
          'It takes no metrics: the write token is not, or no longer, the right one.',
        );
      bodyOf('bulk_log', answer);
      return kept;
    },
    // trackio has no end of a run.
    finish: async () => {},
  };
}

/** Checks whether the secret is a Hugging Face Hub token, for a Space, which is sent differently from a server's write token. */
function isHubToken(secret: string): boolean {
  return secret.startsWith('hf_');
}
