/** The exporter, a child process of a worker: it writes one export into a folder and sends its progress. */
import { getPriority, setPriority } from 'node:os';
import { GraftError } from '@graft/peft-core/config';
import { loadEngine } from '@graft/peft-core/load-engine';
import { faultOf } from '../processes/child-fault.ts';
import { listenToParent } from '../processes/listen-to-parent.ts';
import { checkExporterCall, type ExporterMessages, type WritingRequest } from './exporter-protocol.ts';

const send = listenToParent<ExporterMessages>(checkExporterCall, (message) => {
  if (message.type === 'stop') stopping.abort();
  else void answer(message.request);
});
const stopping = new AbortController();
// Requests, completions and training have priority.
if (getPriority() < 10) setPriority(10);
const engine = loadEngine();
const models = import('@graft/peft-core/files');
Promise.all([engine, models]).then(
  () => send({ type: 'ready' }),
  () => {},
);

const reportMs = 250;

async function answer(request: WritingRequest): Promise<void> {
  const { basePath, baseModelName, adapterDir, outputDir } = request;
  try {
    send({ type: 'written', notes: await write(request) });
  } catch (error) {
    const files = { base: { id: baseModelName, path: basePath }, folders: [adapterDir, outputDir] };
    send({ type: 'failed', fault: faultOf(storageFault(error), unexpected, files) });
  }
}

async function write(request: WritingRequest): Promise<string[]> {
  const { basePath, digestCache, format, adapterDir, outputDir, options, name } = request;
  const { writeExport } = await engine;
  const { openBaseModel } = await models;
  const base = await openBaseModel(basePath, { digestCache });
  let reported = Number.NEGATIVE_INFINITY;
  const onProgress = (done: number, total: number) => {
    if (performance.now() - reported < reportMs) return;
    reported = performance.now();
    send({ type: 'progress', done: Math.round(done), total: Math.round(total) });
  };
  try {
    const { signal } = stopping;
    const { notes } = await writeExport(format, {
      base,
      adapterDir,
      outputDir,
      options,
      name,
      onProgress,
      signal,
    });
    return notes;
  } finally {
    await base.close();
  }
}

/** The writer's error for a full disk names a path of this machine. */
function storageFault(error: unknown): unknown {
  const { code } = error as { code?: string };
  if (code !== 'disk_full' && code !== 'ENOSPC' && code !== 'EDQUOT') return error;
  return new GraftError(
    'storage_full',
    'The storage of this server is full; nothing was stored. Its operator must free space.',
    { fault: 'environment', cause: error },
  );
}

const unexpected = {
  code: 'export_failed',
  message: 'The export stopped because of a fault in the service.',
};
