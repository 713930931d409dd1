// Protocol tests: the child only waits instead of computing. Real generation is tested in internal-server.test.ts.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { createLogger } from '@graft/service';
import { GeneratorBusy, GeneratorProcess } from './generator-process.ts';

// Says the prompt's words, one each 100 ms; "hang" blocks for ever, "die" exits.
const child = `
  let aborted = false;
  process.on('message', async (message) => {
    if (message.type === 'stop') { aborted = true; return; }
    aborted = false;
    for (const text of message.request.options.prompt.split(' ')) {
      if (text === 'hang') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600000);
      if (text === 'die') process.exit(3);
      await new Promise((resolve) => setTimeout(resolve, 100));
      if (aborted) return process.send({ type: 'stopped' });
      process.send({ type: 'token', text });
    }
    process.send({ type: 'done', finishReason: 'stop', promptTokens: 1, completionTokens: 1 });
  });
  process.on('disconnect', () => process.exit());
`;
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'graft-generator-'));
  await writeFile(join(folder, 'child.mjs'), child);
});
after(() => rm(folder, { recursive: true }));

function generatorFor(t: { after(end: () => Promise<void>): void }, limits = {}): GeneratorProcess {
  const generator = new GeneratorProcess({
    entry: pathToFileURL(join(folder, 'child.mjs')),
    device: { kind: 'cpu' },
    log: createLogger({ level: 'silent', name: 'test' }),
    queueLimit: 10,
    waitMilliseconds: 10_000,
    stallMilliseconds: 10_000,
    idleMilliseconds: 10_000,
    ...limits,
  });
  t.after(() => generator.close());
  return generator;
}

const never = new AbortController().signal;
const ask = (generator: GeneratorProcess, prompt: string, signal = never, team = '') =>
  generator.generate(
    { baseModel: 'b', basePath: '/b', digestCache: '/d', adapterDir: null, options: { prompt } },
    signal,
    { team, weight: 1 },
  );

async function say(
  generator: GeneratorProcess,
  prompt: string,
  signal = never,
  team?: string,
): Promise<string> {
  let said = '';
  for await (const event of ask(generator, prompt, signal, team)) {
    said +=
      event.type === 'token' ? event.text : `|${event.type === 'failed' ? event.fault.code : event.type}`;
  }
  return said;
}

describe('GeneratorProcess', () => {
  it('answers in order, one at a time', async (t) => {
    const generator = generatorFor(t);
    const ended: string[] = [];
    const all = ['a b', 'c d', 'e f'].map(async (prompt) => ended.push(await say(generator, prompt)));
    assert.equal(generator.load, 3);
    await Promise.all(all);
    assert.deepEqual(ended, ['ab|done', 'cd|done', 'ef|done']);
    assert.equal(generator.load, 0);
    assert.deepEqual(generator.bases, ['b']);
  });

  it('lets teams take turns, and gives a place in a full queue to whoever has fewer there', async (t) => {
    const generator = generatorFor(t, { queueLimit: 3 });
    const ended: string[] = [];
    const from = async (team: string, prompt: string) => {
      ended.push(await say(generator, prompt, never, team));
    };
    const [first, second, third, fourth] = ['a1', 'a2', 'a3', 'a4'].map((prompt) => from('a', prompt));
    await assert.rejects(from('a', 'a5'), GeneratorBusy);
    const theirs = from('b', 'b1');
    await assert.rejects(fourth!, GeneratorBusy);
    await Promise.all([first, second, third, theirs]);
    assert.deepEqual(ended, ['a1|done', 'b1|done', 'a2|done', 'a3|done']);
  });

  it('refuses what the queue cannot hold and what waits too long', async (t) => {
    const generator = generatorFor(t, { queueLimit: 1, waitMilliseconds: 200 });
    const first = say(generator, 'a b c d e f g h i j');
    const second = say(generator, 'late');
    await assert.rejects(say(generator, 'full'), GeneratorBusy);
    await assert.rejects(second, GeneratorBusy);
    assert.equal(await first, 'abcdefghij|done');
    assert.equal(await say(generator, 'now'), 'now|done');
  });

  it('lets go of a request that is aborted while it waits or is answered', async (t) => {
    const generator = generatorFor(t);
    const first = new AbortController();
    const second = new AbortController();
    const answering = say(generator, 'a b c d e f g h i j', first.signal);
    const waiting = say(generator, 'never', second.signal);
    second.abort();
    await assert.rejects(waiting, { name: 'AbortError' });
    await sleep(300);
    const pid = generator.pid;
    first.abort();
    await assert.rejects(answering, { name: 'AbortError' });
    assert.equal(await say(generator, 'next'), 'next|done');
    assert.equal(generator.pid, pid);
  });

  it('gives the next request its own answer when the one before is dropped half-way', async (t) => {
    const generator = generatorFor(t);
    for await (const event of ask(generator, 'a b c d e f')) {
      assert.equal(event.type, 'token');
      break;
    }
    assert.equal(await say(generator, 'mine'), 'mine|done');
  });

  it('recovers from a child that dies or hangs', async (t) => {
    const generator = generatorFor(t, { stallMilliseconds: 2000 });
    assert.equal(await say(generator, 'a die'), 'a|generator_lost');
    assert.equal(await say(generator, 'a hang'), 'a|generator_lost');
    assert.equal(await say(generator, 'b'), 'b|done');
  });

  it('lets an idle child go, and takes nothing once closed', async (t) => {
    const generator = generatorFor(t, { idleMilliseconds: 50 });
    await say(generator, 'a');
    await sleep(400);
    assert.equal(generator.pid, null);
    assert.deepEqual(generator.bases, []);
    const answering = say(generator, 'a b c d e f g h i j');
    const waiting = say(generator, 'b');
    await sleep(500);
    await generator.close();
    assert.match(await answering, /\|generator_closing$/);
    await assert.rejects(waiting, GeneratorBusy);
    await assert.rejects(say(generator, 'c'), GeneratorBusy);
  });
});
