import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

/** An nvidia-smi in place of this machine's, which has none or one with other cards. */
export interface FakeSmi {
  /** What it does from now on: lines of shell. Null: there is none. */
  says(lines: string | null): void;
  /** The folder that is first on the PATH, for processes of their own. */
  path: string;
  close(): Promise<void>;
}

/** Puts one on the PATH of this process until it is closed. */
export function fakeSmi(): FakeSmi {
  const folder = mkdtempSync(join(tmpdir(), 'graft-smi-'));
  const before = process.env.PATH;
  const path = join(folder, 'nvidia-smi');
  process.env.PATH = `${folder}${delimiter}${before}`;
  return {
    path: folder,
    says: (lines) => {
      // Without one the PATH has this folder alone, or the machine's own would be found.
      process.env.PATH = lines === null ? join(folder, 'none') : `${folder}${delimiter}${before}`;
      writeFileSync(path, `#!/bin/sh\n${lines ?? 'exit 127'}\n`);
      chmodSync(path, 0o755);
    },
    close: async () => {
      process.env.PATH = before;
      await rm(folder, { recursive: true });
    },
  };
}

/** Prints this text and ends with this status. */
export const prints = (text: string, status = 0): string => `cat <<'END'\n${text}\nEND\nexit ${status}`;

// As nvidia-smi prints them: identifiers as in NVIDIA's MIG user guide.
const h100 = 'GPU-8f3ac5b0-91d5-1c6e-a1f0-0d3b6a1f2c11';
const other = 'GPU-1b7de7c4-2f0a-4a8e-9a55-5c1de0a0b7fe';
export const uuids = { h100, other };
export const oneCard = `0, ${h100}, NVIDIA H100 PCIe, 81559, Disabled`;
export const twoCards = `${oneCard}\n1, ${other}, NVIDIA H100 PCIe, 81559, Disabled`;
