/**
 * The generator, a child process of a worker. It answers many requests at a time with one base model and its adapters. A request for
 * another base model closes the current one; the worker sends such a request only when no other is running.
 */

import type { Generator, InputScore, TextScorer } from '@graft/peft-core';
import type { BaseModel } from '@graft/peft-core/files';
import { loadEngine } from '@graft/peft-core/load-engine';
import { type ChildFault, faultOf, type OperatorFiles } from '../processes/child-fault.ts';
import { listenToParent } from '../processes/listen-to-parent.ts';
import { checkGeneratorCall, type GeneratorMessages, type ModelPlace } from './generator-protocol.ts';

type Asked = Extract<GeneratorMessages['call'], { type: 'generate' }>;
type ScoreCall = Extract<GeneratorMessages['call'], { type: 'score' }>;
type Opened<Engine> = { engine: Engine; close(): Promise<void> };

const answering = new Map<number, AbortController>();
let stopping = false;
/** One base model, loaded to write text or to read it: both would need its memory twice. */
let loaded: { key: string; opened: Promise<Opened<Generator | TextScorer>> } | null = null;

const send = listenToParent<GeneratorMessages>(checkGeneratorCall, (message) => {
  if (message.type === 'generate') void answer(message);
  else if (message.type === 'score') void score(message);
  else if (message.type === 'cancel') answering.get(message.id)?.abort();
  else {
    stopping = true;
    for (const each of answering.values()) each.abort();
    stopIfIdle();
  }
});
const engine = loadEngine();
const models = import('@graft/peft-core/files');
Promise.all([engine, models]).then(
  () => send({ type: 'ready' }),
  () => {},
);

async function answer({ id, request, team, weight, limits }: Asked): Promise<void> {
  await asked(id, request, async (signal) => {
    const generator = await engineFor('write', request, async (base) => {
      const { openGenerator } = await engine;
      return await openGenerator({ base, ...limits });
    });
    const { options, adapterDir: adapter } = request;
    const onPromptRead = (promptTokens: number) => send({ id, type: 'read', promptTokens });
    const tokens = generator.generate({ ...options, adapter, team, weight, signal, onPromptRead });
    for (;;) {
      const next = await tokens.next();
      if (next.done) {
        send({ id, type: 'done', ...next.value });
        break;
      }
      const { tokenId: _, ...said } = next.value;
      if (said.text || said.reasoning || said.calls || said.likely) send({ id, type: 'token', ...said });
    }
  });
}

async function score({ id, request, team, weight, limits }: ScoreCall): Promise<void> {
  await asked(id, request, async (signal) => {
    const scorer = await engineFor('read', request, async (base) => {
      const { TextScorer } = await engine;
      return new TextScorer({ base, ...limits });
    });
    const { adapterDir: adapter, task, inputs, adapterName, promptName = null } = request;
    let promptTokens = 0;
    let hasStarted = false;
    const onRead = (tokens: number) => {
      promptTokens += tokens;
    };
    const named = adapterName === undefined ? {} : { adapterName };
    const scores = scorer.score({
      adapter,
      task,
      inputs,
      promptName,
      team,
      weight,
      signal,
      onRead,
      ...named,
    });
    try {
      for await (const next of scores) {
        if (Array.isArray(next)) send({ id, type: 'scores', scores: next.map(encoded) });
        else {
          const { tokens, ...start } = next;
          hasStarted = true;
          send({ id, type: 'start', promptTokens: tokens, ...start });
        }
      }
    } catch (error) {
      if (promptTokens > 0 && !hasStarted && !signal.aborted) send({ id, type: 'inputs', promptTokens });
      throw error;
    }
    send({ id, type: 'scored' });
  });
}

function encoded({ index, values }: InputScore) {
  const { buffer, byteOffset, byteLength } = values;
  return { index, values: Buffer.from(buffer, byteOffset, byteLength).toString('base64') };
}

/** Runs `work` for a request until it ends or is cancelled, and reports its error. */
async function asked(
  id: number,
  place: ModelPlace,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const cancelling = new AbortController();
  const { signal } = cancelling;
  answering.set(id, cancelling);
  try {
    await work(signal);
  } catch (error) {
    if (!signal.aborted) send({ id, type: 'refused', fault: faultIn(place, error) });
  } finally {
    answering.delete(id);
    stopIfIdle();
  }
}

function stopIfIdle(): void {
  if (!stopping || answering.size > 0) return;
  stopping = false;
  send({ type: 'stopped' });
}

function faultIn({ baseModel, basePath, adapterDir }: ModelPlace, error: unknown): ChildFault {
  const files: OperatorFiles = {
    base: { id: baseModel, path: basePath },
    folders: adapterDir === null ? [] : [adapterDir],
  };
  return faultOf(error, unexpected, files);
}

const unexpected = {
  code: 'generation_failed',
  message: 'The model could not answer because of a fault in the service.',
};

async function engineFor<Engine extends Generator | TextScorer>(
  use: 'write' | 'read',
  { basePath, digestCache }: ModelPlace,
  make: (base: BaseModel) => Promise<Engine>,
): Promise<Engine> {
  const key = `${use} ${basePath}`;
  if (loaded?.key !== key) {
    const before = loaded?.opened;
    const opened = open(before, basePath, digestCache, make);
    loaded = { key, opened };
    opened.catch(() => {
      if (loaded?.opened === opened) loaded = null;
    });
  }
  return (await loaded.opened).engine as Engine;
}

async function open<Engine extends Generator | TextScorer>(
  before: NonNullable<typeof loaded>['opened'] | undefined,
  basePath: string,
  digestCache: string,
  make: (base: BaseModel) => Promise<Engine>,
): Promise<Opened<Engine>> {
  await (await before?.catch(() => null))?.close();
  const { openBaseModel } = await models;
  const base = await openBaseModel(basePath, { digestCache });
  try {
    const engine = await make(base);
    return {
      engine,
      async close() {
        await engine.close();
        await base.close();
      },
    };
  } catch (error) {
    await base.close();
    throw error;
  }
}
