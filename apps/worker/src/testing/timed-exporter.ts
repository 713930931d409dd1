/**
 * An exporter for tests of the worker: it follows exporter-protocol.ts and loads no TensorFlow. The options of the export define its behaviour,
 * as type `ExportTiming`.
 */
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { GraftError } from '@graft/peft-core/config';
import { checkExporterCall, type ExporterMessages } from '../exports/exporter-protocol.ts';
import { faultOf } from '../processes/child-fault.ts';
import { listenToParent } from '../processes/listen-to-parent.ts';

export interface ExportTiming extends Record<string, unknown> {
  pieces: number;
  pieceBytes: number;
  pieceMilliseconds: number;
  /** Action after the last piece, instead of reporting success. */
  does?: 'fill the disk' | 'odd name';
}

const send = listenToParent<ExporterMessages>(checkExporterCall, (message) => {
  if (message.type === 'write') void write(message.request);
});
send({ type: 'ready' });

async function write({ options, outputDir }: { options: object; outputDir: string }): Promise<void> {
  const { pieces, pieceBytes, pieceMilliseconds, does } = options as ExportTiming;
  const file = join(outputDir, 'model.bin');
  const total = pieces * pieceBytes;
  for (let piece = 0; piece < pieces; piece++) {
    appendFileSync(file, Buffer.alloc(pieceBytes, piece));
    send({ type: 'progress', done: (piece + 1) * pieceBytes, total });
    await sleep(pieceMilliseconds);
  }
  if (does === 'fill the disk') {
    const full = new GraftError('storage_full', 'The storage of this server is full.', {
      fault: 'environment',
    });
    return send({ type: 'failed', fault: faultOf(full, { code: 'export_failed', message: 'It failed.' }) });
  }
  if (does === 'odd name') writeFileSync(join(outputDir, '.hidden'), '');
  send({ type: 'written', notes: [`${pieces} pieces`] });
}
