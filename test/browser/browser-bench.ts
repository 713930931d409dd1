import { type ApiBench, type Caller, openApiBench } from '../../apps/api/src/testing/open-api-bench.ts';
import { buildDashboard } from '../../scripts/web/build-dashboard.ts';
import { openVisits, type Visit, type VisitOptions } from './visits.ts';

export type { Visit, VisitOptions };

export interface BrowserBench extends ApiBench {
  /** A browser of its own, signed in by a caller's key unless that is null, at a path. */
  visit(caller: Caller | null, path: string, options?: VisitOptions): Promise<Visit>;
}

/** The dashboard on a real API with its own database. `env`, `settings` and `port`: of the API, beside what tests have. */
export async function openBrowserBench(
  env: NodeJS.ProcessEnv = {},
  settings: Parameters<typeof openApiBench>[0] = {},
  port = 0,
): Promise<BrowserBench> {
  await buildDashboard();
  const api = await openApiBench({ eventPollMs: 100, streamHeartbeatMs: 15_000, ...settings }, env, port);
  // Where there is no browser the test ends with that, and does not wait for an API that nobody closes.
  const visits = await openVisits(api.url).catch(async (error) => {
    await api.close();
    throw error;
  });
  return {
    ...api,
    visit: async (caller, path, options) => await visits.visit(caller?.key ?? null, path, options),
    close: async () => {
      await visits.close();
      await api.close();
    },
  };
}
