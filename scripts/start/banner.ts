import type { ServiceEnv } from '@graft/service';

interface Started {
  env: ServiceEnv;
  selected: ('api' | 'worker')[];
  /** Made at this start: shown this once. */
  key: string | null;
  embedded: boolean;
  /** Of the first program selected. */
  address: string | null;
  /** Null: lines of log go to standard output. */
  logFile: string | null;
}

/** What the person who started Graft needs next. */
export function printBanner(started: Started): void {
  console.log(
    `\n${bannerLines(started)
      .map((line) => `  ${line}`.trimEnd())
      .join('\n')}\n`,
  );
}

/** Ends with where it is and the key: what the person reads first. */
export function bannerLines({ env, selected, key, embedded, address, logFile }: Started): string[] {
  const stores = [
    embedded ? 'Postgres embedded' : 'Postgres by DATABASE_URL',
    env.redisUrl === undefined ? 'queue in Postgres' : 'queue in Redis',
    `data in ${env.dataDir}`,
  ].join(', ');
  const state = [stores, ...(logFile === null ? [] : [`Log in ${logFile}`])];
  if (!selected.includes('api')) return ['Graft worker is running.', '', ...state];

  // A wildcard is no address to call.
  const host = env.host === '0.0.0.0' || env.host === '::' ? '127.0.0.1' : env.host;
  const origin = address ?? `http://${host}:${env.port}`;
  const variables = origin === 'http://127.0.0.1:8000' ? [] : [`  export GRAFT_BASE_URL=${origin}/v1`];
  const keyText = env.bootstrapKey === undefined ? 'your key' : 'the key in GRAFT_BOOTSTRAP_KEY';
  const isMeasured = env.metricsToken !== undefined || env.metricsLoopback;
  return [
    selected.includes('worker') ? 'Graft is running.' : 'Graft API is running.',
    '',
    ...state,
    ...(isMeasured ? [] : ['Nobody reads /metrics: set GRAFT_METRICS_TOKEN (docs/operations.md)']),
    '',
    'Next, in another terminal:',
    ...variables,
    key === null ? `  export GRAFT_API_KEY=…   # ${keyText}` : `  export GRAFT_API_KEY=${key}`,
    '  npx graft files upload your-data.jsonl',
    '  npx graft --help',
    '',
    `API    ${origin}/v1`,
    `Docs   ${origin}/docs`,
    `Pages  ${origin}/`,
    ...(key === null ? [] : [`Key    ${key}   (shown this once)`]),
  ];
}
