/**
 * The generator, a child process of a worker. It answers many requests at a time with one base model and its adapters. A request for
 * another base model closes the current one; the worker sends such a request only when no other is running.
 */

import type { Generator, ServingLimits } from '@graft/peft-core';
import { loadEngine } from '@graft/peft-core/load-engine';
import { type ChildFault, faultOf, type OperatorFiles } from '../processes/child-fault.ts';
import { listenToParent } from '../processes/listen-to-parent.ts';
import { checkGeneratorCall, type GeneratorMessages, type GeneratorRequest } from './generator-protocol.ts';

type Asked = Extract<GeneratorMessages['call'], { type: 'generate' }>;

const answering = new Map<number, AbortController>();
let stopping = false;
let loaded: { basePath: string; opened: Promise<{ generator: Generator; close(): Promise<void> }> } | null =
  null;

const send = listenToParent<GeneratorMessages>(checkGeneratorCall, (message) => {
  if (message.type === 'generate') void answer(message);
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
  const cancelling = new AbortController();
  const { signal } = cancelling;
  answering.set(id, cancelling);
  try {
    const generator = await generatorFor(request, limits);
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
  } catch (error) {
    if (!signal.aborted) send({ id, type: 'refused', fault: faultIn(request, error) });
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

function faultIn({ baseModel, basePath, adapterDir }: GeneratorRequest, error: unknown): ChildFault {
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

async function generatorFor(
  { basePath, digestCache }: GeneratorRequest,
  limits: Partial<ServingLimits>,
): Promise<Generator> {
  if (loaded?.basePath !== basePath) {
    const before = loaded?.opened;
    const opened = open(before, basePath, digestCache, limits);
    loaded = { basePath, opened };
    opened.catch(() => {
      if (loaded?.opened === opened) loaded = null;
    });
  }
  return (await loaded.opened).generator;
}

async function open(
  before: NonNullable<typeof loaded>['opened'] | undefined,
  basePath: string,
  digestCache: string,
  limits: Partial<ServingLimits>,
) {
  await (await before?.catch(() => null))?.close();
  const { openGenerator } = await engine;
  const { openBaseModel } = await models;
  const base = await openBaseModel(basePath, { digestCache });
  try {
    const generator = await openGenerator({ base, ...limits });
    return {
      generator,
      async close() {
        await generator.close();
        await base.close();
      },
    };
  } catch (error) {
    await base.close();
    throw error;
  }
}
