import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { BaseModel } from '../files.ts';
import type { ExportResult } from './export-writer.ts';
import { writeExport } from './writers.ts';

/** Exports an adapter merged into its base model, in float32. Throws what `writeExport` throws. */
export async function mergeAdapter({
  base,
  adapterDir,
  outputDir,
  into = 'original',
}: {
  base: BaseModel;
  adapterDir: string;
  outputDir: string;
  into?: 'original' | 'dequantised';
}): Promise<ExportResult> {
  await mkdir(outputDir, { recursive: true });
  const options = { dtype: 'float32', base: into };
  return await writeExport('merged', {
    base,
    adapterDir,
    outputDir,
    options,
    name: path.basename(outputDir),
  });
}
