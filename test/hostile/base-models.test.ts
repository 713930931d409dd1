/** Malicious base models that wildcards in GRAFT_HUB_ALLOW admit. The API, trainers and generators must reject each with its reason. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { GraftError } from '@graft/peft-core/config';
import { openBaseModel } from '@graft/peft-core/files';
import { loadTokenizer } from '@graft/peft-core/text';
import { type ApiBench, openApiBench } from '../../apps/api/src/testing/open-api-bench.ts';
import { type HostileModel, writeHostileModels } from './base-models/write-models.ts';

const seed = Number(process.env.GRAFT_HOSTILE_SEED ?? 20_261_129);
const count = 500;
/** Number of concurrent requests. */
const clients = 4;

let folder: string;
let bench: ApiBench;
let models: HostileModel[];
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'graft-hostile-'));
  models = await writeHostileModels(folder, count, seed);
  const entries = Object.fromEntries(
    [...models.map(({ place }) => place), 'sound'].map((place) => [
      place,
      { folder: path.join(folder, place) },
    ]),
  );
  const file = path.join(folder, 'base-models.json');
  await writeFile(file, JSON.stringify(entries));
  bench = await openApiBench({}, { GRAFT_BASE_MODELS: file });
});
after(async () => {
  await bench?.close();
  await rm(folder, { recursive: true, force: true });
});

/** The response to a client that wants to train the model. Repeats the request while the model is being opened. */
async function optionsOf(place: string) {
  for (let tries = 0; ; tries++) {
    const answer = await bench.acme.send('GET', `/v1/fine_tuning/options?model=${place}`);
    if (answer.status !== 200 || answer.json.model !== null || tries === 20) return answer;
  }
}

/** Sends ordinary requests until stopped; reports how many succeeded and which failed. */
function ordinaryRequests() {
  let stopped = false;
  let answered = 0;
  const failed: string[] = [];
  const done = (async () => {
    while (!stopped) {
      for (const [url, init] of [
        [`${bench.url}/healthz`, {}],
        [`${bench.url}/v1/files`, { headers: { authorization: `Bearer ${bench.other.key}` } }],
      ] as const) {
        const { status } = await fetch(url, init);
        if (status === 200) answered++;
        else failed.push(`${status} ${url}`);
      }
    }
  })();
  return {
    answered: () => answered,
    stop: async () => {
      stopped = true;
      await done;
      return failed;
    },
  };
}

test(`the API refuses ${count} hostile base models, each by its file and its fault, and answers others meanwhile`, async () => {
  const faults: string[] = [];
  const slow: string[] = [];
  const others = ordinaryRequests();
  const waiting = [...models];
  const client = async () => {
    for (let model = waiting.shift(); model; model = waiting.shift()) {
      const before = others.answered();
      const { status, text } = await optionsOf(model.place);
      // The API runs in this process. If it read the hundred megabytes on the event loop, other requests would get no answer.
      if (/128 MiB of nesting|million values/.test(model.name) && others.answered() < before + 2)
        slow.push(model.name);
      const { message = '' } = status === 400 ? JSON.parse(text).error : {};
      if (!message.includes(model.file) || !model.says.test(message) || message.includes(folder))
        faults.push(`${model.name} (${model.says}): ${status} ${text.slice(0, 300)}`);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  assert.deepEqual(await others.stop(), []);
  assert.deepEqual(faults, []);
  assert.deepEqual(slow, []);
  assert.equal((await optionsOf('sound')).status, 200);
});

/** Reads the model like a trainer or generator does, in this process without threads. */
async function readAsWorker(place: string): Promise<void> {
  const model = await openBaseModel(path.join(folder, place));
  try {
    const tokenizer = loadTokenizer(model.tokenizerFiles);
    tokenizer.encode('Hello');
    tokenizer.applyChatTemplate([{ role: 'user', content: 'Hello' }], { addGenerationPrompt: true });
  } finally {
    await model.close();
  }
}

test('trainers and generators refuse the same ones', async () => {
  const taken: string[] = [];
  for (const { place, name } of models) {
    await readAsWorker(place).then(
      () => taken.push(name),
      (error: unknown) => {
        if (!(error instanceof GraftError)) taken.push(`${name}: ${error}`);
      },
    );
  }
  assert.deepEqual(taken, []);
  await readAsWorker('sound');
});
