import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ToyTrainer } from './toy-trainer.ts';

// Training repeats bit for bit with the same number of threads: in one session, in a new one and in another process.

/** Wide enough that TensorFlow spreads its products over several threads. */
const trainer = () => new ToyTrainer(512, 768, 96);

async function fingerprints(): Promise<string[]> {
  const found: string[] = [];
  for (let session = 0; session < 2; session++) {
    const toy = trainer();
    const program = toy.builder.build();
    for (let round = 0; round < 2; round++) {
      const hash = createHash('sha256').update(Float64Array.from(await toy.losses(program)));
      for (const values of program.read(['w1', 'w2', 'w1.moment', 'w2.moment']).values()) hash.update(values);
      found.push(hash.digest('hex'));
    }
    program.close();
  }
  return found;
}

if (process.argv[2] === 'child') {
  console.log(JSON.stringify(await fingerprints()));
} else {
  test('five steps leave the same bits in every session and process', async () => {
    const child = execFileSync(
      process.execPath,
      [...process.execArgv, fileURLToPath(import.meta.url), 'child'],
      {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      },
    );
    const all = [...(await fingerprints()), ...(JSON.parse(child) as string[])];
    assert.equal(all.length, 8);
    assert.equal(new Set(all).size, 1, all.join('\n'));
  });
}
