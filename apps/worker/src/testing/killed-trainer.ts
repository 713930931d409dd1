import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** A trainer that waits instead of computing. */
export const timedTrainer = new URL('./timed-trainer.ts', import.meta.url);

/** A trainer that is killed at its start `times` times, after `spared` successful starts. */
export async function killedBefore(times: number, { spared = 0 } = {}): Promise<URL> {
  const folder = await mkdtemp(join(tmpdir(), 'graft-killed-'));
  const entry = join(folder, 'trainer.mjs');
  await writeFile(join(folder, 'package.json'), '{"type": "module"}');
  const lines = [
    "import { existsSync, writeFileSync } from 'node:fs';",
    `for (let time = 1; time <= ${spared + times}; time++) {`,
    `  const mark = ${JSON.stringify(folder)} + '/killed-' + time;`,
    '  if (existsSync(mark)) continue;',
    "  writeFileSync(mark, '');",
    `  if (time <= ${spared}) break;`,
    "  process.kill(process.pid, 'SIGKILL');",
    '}',
    `await import(${JSON.stringify(timedTrainer.href)});`,
  ];
  await writeFile(entry, lines.join('\n'));
  return pathToFileURL(entry);
}
