/** Process that performs the export of an ExportPlan and returns its time and memory. */
import { exportFolder } from '@graft/peft-core';
import { exportedAdapter, exportFormat, folderBytes, parseExportOptions } from '@graft/peft-core/exports';
import { openBaseModel, readAdapter } from '@graft/peft-core/files';
import { elementCount } from '../../packages/peft-core/src/tensors/tensor-source.ts';
import { answer, readPlan } from '../../scripts/measuring/processes.ts';
import { sum } from '../../scripts/measuring/report.ts';

export interface Measured {
  seconds: number;
  /** Size of the files. */
  bytes: number;
  estimate: number;
  /** Peak memory of the process, including TensorFlow. */
  peakBytes: number;
  /** In float32. */
  largestTensorBytes: number;
}

export interface ExportPlan {
  model: string;
  adapterDir: string;
  folder: string;
  format: string;
  options: Record<string, unknown>;
}

const { model, adapterDir, folder, format, options } = await readPlan<ExportPlan>();
const base = await openBaseModel(model);
const row = exportFormat(format);
const about = exportedAdapter(base, {
  config: (await readAdapter(adapterDir)).config,
  chatTemplate: null,
  bytes: await folderBytes(adapterDir),
});
const start = performance.now();
const { files } = await exportFolder(format, { base, adapterDir, folder, options, name: 'bench' });
const measured: Measured = {
  seconds: (performance.now() - start) / 1000,
  bytes: sum(files.map((file) => file.bytes)),
  estimate: row.bytes(about, parseExportOptions(row, options)),
  peakBytes: 1024 * process.resourceUsage().maxRSS,
  largestTensorBytes: Math.max(
    ...base.tensors.names().map((name) => 4 * elementCount(base.tensors.info(name).shape)),
  ),
};
await base.close();
answer(measured);
