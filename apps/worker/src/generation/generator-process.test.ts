// Protocol tests: the child only waits instead of computing. Real generation is tested in internal-server.test.ts.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { createLogger } from '@graft/service/logger';
import { GeneratorBusy, GeneratorProcess } from './generator-process.ts';

// Answers with the prompt's words, one every 100 ms. "hang" blocks for ever, "die" exits, "fail" is an internal error. The id of a
// cancelled prompt is included in the next answer: "[…]". Other words are attacks.
const child = `
  const answering = new Set(), cancelled = [];
  let stopping = false;
  const end = (id) => {
    answering.delete(id);
    if (!stopping || answering.size > 0) return;
    stopping = false;
    process.send({ type: 'stopped' });
  };
  process.on('message', async ({ type, id, request }) => {
    if (type === 'stop') { stopping = true; return end(); }
    if (type === 'cancel') { if (answering.delete(id)) cancelled.push(id); return; }
    answering.add(id);
    const counts = { promptTokens: 1, cachedTokens: 0, completionTokens: 0 };
    for (const text of request.options.prompt.split(' ')) {
      if (text === 'hang') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600000);
      if (text === 'die') process.exit(3);
      if (text === 'fail') {
        const fault = { code: 'generation_failed', message: '', param: null, fault: 'system' };
        process.send({ id, type: 'refused', fault });
        return end(id);
      }
      const token = { id, type: 'token', text, ...counts, completionTokens: counts.completionTokens + 1 };
      if (text === 'unasked') process.send({ ...token, id: id + 1000 });
      if (text === 'ended') { process.send({ id, type: 'done', finishReason: 'stop', ...counts }); process.send(token); }
      if (text === 'repeated') for (let i = 0; i < 1000; i++) process.send(token);
      if (text === 'other') process.send({ ...token, promptTokens: 2, adapterDir: '/data' });
      if (text === 'longer') for (const promptTokens of [1, 2]) process.send({ ...token, promptTokens });
      if (text === 'huge') process.send({ ...token, text: 'x'.repeat(2 ** 21) });
      await new Promise((resolve) => setTimeout(resolve, 100));
      if (!answering.has(id)) return end(id);
      counts.completionTokens += 1;
      process.send({ id, type: 'token', text: text === 'cancelled?' ? String(cancelled.length) : text, ...counts });
    }
    process.send({ id, type: 'done', finishReason: 'stop', ...counts });
    end(id);
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
    limits: { rows: 1 },
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

  it('answers as many at once as there are rows', async (t) => {
    const generator = generatorFor(t, { limits: { rows: 3 } });
    const began = performance.now();
    const said = await Promise.all(['a b c d', 'e f g h', 'i j k l'].map((prompt) => say(generator, prompt)));
    assert.deepEqual(said, ['abcd|done', 'efgh|done', 'ijkl|done']);
    await say(generator, 'a');
    const four = performance.now();
    await Promise.all(['a b c d', 'e f g h', 'i j k l', 'm n o p'].map((prompt) => say(generator, prompt)));
    assert.ok(performance.now() - four > 800, 'the fourth waits for a row');
    assert.ok(four - began < 20_000);
  });

  it('does not let a team wait for the rows of another that has more than its part', async (t) => {
    const generator = generatorFor(t, { limits: { rows: 2 } });
    const ended: string[] = [];
    const from = async (team: string, prompt: string) => {
      ended.push(await say(generator, prompt, never, team));
    };
    const long = Array(12).fill('a').join(' ');
    const theirs = [from('a', long), from('a', long), from('a', 'last')];
    await sleep(300);
    await from('b', 'b');
    assert.deepEqual(ended, ['b|done']);
    await Promise.all(theirs);
  });

  it('answers for one base model at a time, which stays loaded for sixteen turns and no longer', async (t) => {
    const generator = generatorFor(t, { limits: { rows: 1 }, queueLimit: 100 });
    const answered: string[] = [];
    const on = async (team: string, baseModel: string) => {
      const request = {
        baseModel,
        basePath: baseModel,
        digestCache: '/d',
        adapterDir: null,
        options: { prompt: 'a' },
      };
      for await (const event of generator.generate(request, never, { team, weight: 1 }))
        if (event.type === 'done') answered.push(baseModel);
    };
    const all = [on('a', 'x')];
    for (let i = 0; i < 20; i++) all.push(on('b', 'y'), on('a', 'x'));
    await sleep(50);
    assert.deepEqual(generator.bases, ['x']);
    await Promise.all(all);
    const runs = answered
      .join('')
      .match(/x+|y+/g)!
      .map((run) => run.length);
    assert.deepEqual(runs, [16, 16, 5, 4]);
  });

  it('frees the row of a client that goes away at once, without ending the others', async (t) => {
    const generator = generatorFor(t, { limits: { rows: 2 } });
    const leaving = new AbortController();
    const left = say(generator, 'a b c d e f g h i j', leaving.signal);
    const stays = say(generator, 'a b c d e cancelled?');
    await sleep(250);
    const next = say(generator, 'n');
    leaving.abort();
    await assert.rejects(left, { name: 'AbortError' });
    assert.equal(await next, 'n|done');
    assert.equal(await stays, 'abcde1|done');
  });

  it('replaces a child that had an internal error once the others are answered', async (t) => {
    const generator = generatorFor(t, { limits: { rows: 2 } });
    const stays = say(generator, 'a b c d e');
    assert.equal(await say(generator, 'a fail'), 'a|generation_failed');
    const { pid } = generator;
    const next = say(generator, 'n');
    assert.equal(await stays, 'abcde|done');
    assert.equal(await next, 'n|done');
    assert.notEqual(generator.pid, pid);
  });

  it('lets teams take turns, and gives a place in a full queue to the team with fewer requests', async (t) => {
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

  it('ends a child that says what no generator says, and answers on', async (t) => {
    const generator = generatorFor(t, { limits: { rows: 2 } });
    for (const attack of ['unasked', 'ended', 'repeated', 'other', 'longer', 'huge']) {
      const beside = say(generator, 'a b c d e f g h i j');
      await say(generator, `a ${attack} b c d e f`);
      assert.match(await beside, /^[a-j]*\|generator_lost$/, attack);
      assert.equal(await say(generator, 'a b'), 'ab|done', attack);
    }
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

  it('gives its card up for a training while it has nothing to do, and not before', async (t) => {
    const generator = generatorFor(t);
    const first = say(generator, 'a b');
    assert.equal(await generator.yieldCard(), null, 'it has a request');
    await first;
    const { pid } = generator;
    assert.ok(pid !== null);
    const giveBack = (await generator.yieldCard())!;
    assert.equal(generator.pid, null, 'its child holds nothing of the card');
    await assert.rejects(say(generator, 'c'), GeneratorBusy);
    giveBack();
    giveBack();
    assert.equal(await say(generator, 'd'), 'd|done');
    assert.notEqual(generator.pid, pid);
  });
});
