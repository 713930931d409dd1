import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

/** A fake nvidia-smi that hides the machine's. */
export interface FakeSmi {
  /** Sets its behaviour, as lines of shell. Null: nvidia-smi is missing. */
  says(lines: string | null): void;
  /** The folder that is first on the PATH, for separate processes. */
  path: string;
  close(): Promise<void>;
}

/** Puts a fake nvidia-smi on the PATH of this process until it is closed. */
export function fakeSmi(): FakeSmi {
  const folder = mkdtempSync(join(tmpdir(), 'graft-smi-'));
  const before = process.env.PATH;
  const path = join(folder, 'nvidia-smi');
  process.env.PATH = `${folder}${delimiter}${before}`;
  return {
    path: folder,
    says: (lines) => {
      // For a missing nvidia-smi the PATH is an empty folder only, otherwise the machine's own would be found.
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

/** A shell script that prints `text` and exits with `status`. */
export const prints = (text: string, status = 0): string => `cat <<'END'\n${text}\nEND\nexit ${status}`;

// Output in the format of nvidia-smi, with the UUIDs of NVIDIA's MIG user guide.
const h100 = 'GPU-8f3ac5b0-91d5-1c6e-a1f0-0d3b6a1f2c11';
const other = 'GPU-1b7de7c4-2f0a-4a8e-9a55-5c1de0a0b7fe';
export const uuids = { h100, other };
export const oneCard = `0, ${h100}, NVIDIA H100 PCIe, 81559, Disabled`;
export const twoCards = `${oneCard}\n1, ${other}, NVIDIA H100 PCIe, 81559, Disabled`;
