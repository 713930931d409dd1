/** Exports once, and prints what it took: MODEL ADAPTER OUTPUT FORMAT OPTIONS. */
import { exportFolder } from '@graft/peft-core';
import { exportedAdapter, exportFormat, folderBytes, parseExportOptions } from '@graft/peft-core/exports';
import { openBaseModel, readAdapter } from '@graft/peft-core/files';
import { elementCount } from '../../packages/peft-core/src/tensors/tensor-source.ts';

export interface Measured {
  seconds: number;
  /** Of the files. */
  bytes: number;
  estimate: number;
  /** Most memory of the process, TensorFlow included. */
  peakBytes: number;
  /** In float32. */
  largestTensorBytes: number;
}

const [model, adapterDir, folder, format, options] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
];
const base = await openBaseModel(model);
const row = exportFormat(format);
const given = JSON.parse(options);
const about = exportedAdapter(base, {
  config: (await readAdapter(adapterDir)).config,
  chatTemplate: null,
  bytes: await folderBytes(adapterDir),
});
const start = performance.now();
const { files } = await exportFolder(format, { base, adapterDir, folder, options: given, name: 'bench' });
const measured: Measured = {
  seconds: (performance.now() - start) / 1000,
  bytes: files.reduce((sum, file) => sum + file.bytes, 0),
  estimate: row.bytes(about, parseExportOptions(row, given)),
  peakBytes: 1024 * process.resourceUsage().maxRSS,
  largestTensorBytes: Math.max(
    ...base.tensors.names().map((name) => 4 * elementCount(base.tensors.info(name).shape)),
  ),
};
await base.close();
process.stdout.write(`${JSON.stringify(measured)}\n`);
