/** Client of trackio's server: `POST /api/bulk_log`, used as trackio's own client does. */
import type { TrackioSettings } from '@graft/wire/integration';
import { type AskService, bodyOf } from './service-http.ts';
import { type Tracker, TrackerError, valuesOf } from './tracker.ts';

export function createTrackioTracker(
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

/** Whether the secret is a Hugging Face Hub token, for a Space, which is sent differently from a server's write token. */
export function isHubToken(secret: string): boolean {
  return secret.startsWith('hf_');
}
