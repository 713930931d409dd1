import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildOnce } from '../build-once.ts';

let built = false;
await buildOnce(process.argv[2]!, async (folder) => {
  built = true;
  await sleep(500);
  await writeFile(path.join(folder, 'built-by'), String(process.pid), { flag: 'wx' });
});
process.send!(built ? 'built' : 'waited');
process.disconnect();
