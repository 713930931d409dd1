/** Stores uploads and artifacts in the given data folder until it is killed; sends `.` for each. */
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { openStores } from '../open-stores.ts';

const dataDir = process.argv[2]!;
const env = { dataDir, artifactsUrl: undefined, s3Endpoint: undefined, storageCacheBytes: 0 };
const { files, artifacts } = await openStores(env);
for (let epoch = 1; ; epoch++) {
  const content = randomBytes(200_000);
  await files.receive(Readable.from([content.subarray(0, 90_000), content.subarray(90_000)]), { limit: 1e6 });
  const folder = await artifacts.stage('ftjob-1', epoch);
  await mkdir(path.join(folder, 'nested'));
  await writeFile(path.join(folder, 'a.bin'), content);
  await writeFile(path.join(folder, 'nested/b.bin'), content.subarray(1));
  await artifacts.publish(folder);
  process.stdout.write('.');
}
