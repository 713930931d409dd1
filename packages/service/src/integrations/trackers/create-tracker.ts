import type { Job } from '../../jobs/job.ts';
import type { Egress } from '../../webhooks/egress/post-pinned.ts';
import type { Integration, JobIntegrationRequest } from '../integration.ts';
import { createMlflowTracker } from './mlflow.ts';
import { createAsk } from './service-http.ts';
import { configOf, type Tracker } from './tracker.ts';
import { createTrackioTracker, isHubToken } from './trackio.ts';
import { createWandbTracker } from './wandb.ts';

/** The tracker of a job's integration. `secret` is the team's, opened. */
export function createTracker(
  request: JobIntegrationRequest,
  job: Job,
  { url, username, secret }: Pick<Integration, 'url' | 'username'> & { secret: string | null },
  { egress, signal }: { egress: Egress; signal: AbortSignal },
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
