/**
 * The generator: child process of a worker. It answers one request after another with the base model it holds, plain or
 * with an adapter's values written over it. For a request with another base it closes the one it has.
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Generator } from '@graft/peft-core';
import { faultOf, type OperatorFiles } from '../processes/child-fault.ts';
import { listenToParent } from '../processes/listen-to-parent.ts';
import type { GeneratorMessages, GeneratorRequest } from './generator-protocol.ts';

const send = listenToParent<GeneratorMessages>((message) => {
  if (message.type === 'stop') stopping.abort();
  else void answer(message.request);
});
const engine = import('@graft/peft-core');
const models = import('@graft/peft-core/files');
let stopping = new AbortController();
let loaded: { basePath: string; generator: Generator; close: () => Promise<void> } | null = null;
Promise.all([engine, models]).then(
  () => send({ type: 'ready' }),
  () => {},
);

async function answer(request: GeneratorRequest): Promise<void> {
  stopping = new AbortController();
  const { signal } = stopping;
  try {
    const generator = await generatorFor(request);
    await generator.useAdapter(request.adapterDir);
    const tokens = generator.generate({ ...request.options, signal });
    for (;;) {
      const next = await tokens.next();
      if (next.done) return send({ type: 'done', ...next.value });
      const { text, promptTokens, completionTokens } = next.value;
      if (text) send({ type: 'token', text, promptTokens, completionTokens });
      // One turn of the event loop, or a stop would wait until the last token.
      await nextTurn();
      signal.throwIfAborted();
    }
  } catch (error) {
    if (signal.aborted) send({ type: 'stopped' });
    else send({ type: 'failed', fault: faultOf(error, unexpected, filesOf(request)) });
  }
}

function filesOf({ baseModel, basePath, adapterDir }: GeneratorRequest): OperatorFiles {
  return { base: { id: baseModel, path: basePath }, folders: adapterDir === null ? [] : [adapterDir] };
}

const unexpected = {
  code: 'generation_failed',
  message: 'The model could not answer because of a fault in the service.',
};

async function generatorFor({ basePath, digestCache }: GeneratorRequest): Promise<Generator> {
  if (loaded?.basePath === basePath) return loaded.generator;
  await loaded?.close();
  loaded = null;
  const { openGenerator } = await engine;
  const { openBaseModel } = await models;
  const base = await openBaseModel(basePath, { digestCache });
  const generator = await openGenerator({ base });
  loaded = {
    basePath,
    generator,
    close: async () => {
      generator.close();
      await base.close();
    },
  };
  return generator;
}
