import type { ServiceEnv } from '@graft/service';

interface Started {
  env: ServiceEnv;
  selected: ('api' | 'worker')[];
  /** Made at this start: shown this once. */
  key: string | null;
  embedded: boolean;
  /** Of the first program selected. */
  address: string | null;
}

/** What the person who started Graft needs next. */
export function printBanner(started: Started): void {
  console.log(
    `\n${bannerLines(started)
      .map((line) => `  ${line}`.trimEnd())
      .join('\n')}\n`,
  );
}

export function bannerLines({ env, selected, key, embedded, address }: Started): string[] {
  const stores = [
    embedded ? 'Postgres embedded' : 'Postgres by DATABASE_URL',
    env.redisUrl === undefined ? 'queue in Postgres' : 'queue in Redis',
    `data in ${env.dataDir}`,
  ].join(', ');
  if (!selected.includes('api')) return ['Graft worker is running.', '', stores];

  // A wildcard is no address to call.
  const host = env.host === '0.0.0.0' || env.host === '::' ? '127.0.0.1' : env.host;
  const origin = address ?? `http://${host}:${env.port}`;
  const variables = origin === 'http://127.0.0.1:8000' ? [] : [`export GRAFT_BASE_URL=${origin}/v1`];
  const lines = [
    selected.includes('worker') ? 'Graft is running.' : 'Graft API is running.',
    '',
    `Pages  ${origin}/`,
    `API    ${origin}/v1`,
    `Docs   ${origin}/docs`,
  ];
  if (key !== null) lines.push(`Key    ${key}   (shown this once)`);
  lines.push('', stores, '', 'Next, in another terminal:');
  const keyText = key ?? (env.bootstrapKey === undefined ? 'your key' : 'the key in GRAFT_BOOTSTRAP_KEY');
  lines.push(...variables.map((line) => `  ${line}`));
  lines.push(key === null ? `  export GRAFT_API_KEY=…   # ${keyText}` : `  export GRAFT_API_KEY=${key}`);
  lines.push('  npx graft files upload your-data.jsonl', '  npx graft --help');
  return lines;
}
