/**
 * The server: child process of a worker. It answers one request after another with the base model it holds, plain or
 * with an adapter's values written over it. Asked for another base, it lets go of the one it has.
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Generator } from '@graft/peft-core';
import type { FromServer, ServerRequest, ToServer } from './generator-protocol.ts';
import { faultOf, type ServerFiles } from '../processes/child-fault.ts';
import { startWatchdog } from '../processes/watchdog.ts';

startWatchdog();

// Imported after the watchdog runs: loading TensorFlow takes a second or more.
const engine = import('@graft/peft-core');
const models = import('@graft/peft-core/files');
let aborting = new AbortController();
let loaded: { basePath: string; generator: Generator; close: () => Promise<void> } | null = null;

process.on('message', (message: ToServer) => {
  if (message.type === 'abort') aborting.abort();
  else void answer(message.request);
});
// Ctrl-C reaches the whole process group; the worker closes its server in its own order.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
Promise.all([engine, models]).then(
  () => send({ type: 'ready' }),
  () => {},
);

async function answer(request: ServerRequest): Promise<void> {
  aborting = new AbortController();
  const { signal } = aborting;
  try {
    const generator = await generatorFor(request);
    await generator.useAdapter(request.adapterDir);
    const tokens = generator.generate({ ...request.options, signal });
    for (;;) {
      const next = await tokens.next();
      if (next.done) return send({ type: 'done', ...next.value });
      if (next.value.text) send({ type: 'token', text: next.value.text });
      // One turn of the event loop, or an abort would wait until the last token.
      await nextTurn();
      signal.throwIfAborted();
    }
  } catch (error) {
    if (signal.aborted) send({ type: 'aborted' });
    else send({ type: 'failed', fault: faultOf(error, unexpected, filesOf(request)) });
  }
}

function filesOf({ baseModel, basePath, adapterDir }: ServerRequest): ServerFiles {
  return { base: { id: baseModel, path: basePath }, folders: adapterDir === null ? [] : [adapterDir] };
}

const unexpected = {
  code: 'generation_failed',
  message: 'The model could not answer because of a fault in the service.',
};

async function generatorFor({ basePath, digestCache }: ServerRequest): Promise<Generator> {
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

function send(message: FromServer): void {
  // Without a callback a worker that has just died would be an uncaught error here; the watchdog knows.
  process.send?.(message, undefined, undefined, () => {});
}
