import { type ApiBench, type Caller, openApiBench } from '../../apps/api/src/testing/open-api-bench.ts';
import { buildDashboard } from '../../scripts/web/build-dashboard.ts';
import { buildGuide } from '../../scripts/web/build-guide.ts';
import { openVisits, type Visit, type VisitOptions } from './visits.ts';

export type { Visit, VisitOptions };

export interface BrowserBench extends ApiBench {
  /** Opens a path in a separate browser context, signed in with a caller's key unless that is null. */
  visit(caller: Caller | null, path: string, options?: VisitOptions): Promise<Visit>;
}

/** The dashboard on a real API with its own database. `env`, `settings` and `port` override the API's test defaults. */
export async function openBrowserBench(
  env: NodeJS.ProcessEnv = {},
  settings: Parameters<typeof openApiBench>[0] = {},
  port = 0,
): Promise<BrowserBench> {
  await buildDashboard();
  await buildGuide();
  const api = await openApiBench({ eventPollMs: 100, streamHeartbeatMs: 15_000, ...settings }, env, port);
  // Without a browser the API must be closed, or the test would never end.
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
