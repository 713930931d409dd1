import type { ChildProcess } from 'node:child_process';
import { closeSync, fstatSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { dataFolder } from '@graft/service/data-folder';

export interface StartLog {
  /** Null: lines go to standard output, and those of a child are not taken. */
  file: string | null;
  /** Output of the supervisor's own logger. Default: standard output. */
  destination?: { write(line: string): void };
  /** Shows a line to the person who started Graft. */
  show(line: string): void;
  /** Takes what a child with piped outputs prints. Resolves, once both are closed, to its last lines of standard error. */
  take(name: string, child: ChildProcess): Promise<string>;
}

/** A file that has grown to this many bytes becomes `<file>.1`, in place of the one before. */
const largestFile = 50_000_000;
/** Lines of a child's standard error that are kept: a stack trace. */
const keptLines = 25;
/** pino's number of warnings; faults have larger ones. */
const warning = 40;

/**
 * Lines go to `<data folder>/logs/<name>.log`, and of them warnings and faults, as plain text, to the terminal, too. With `shown`
 * all go to standard output as they are.
 */
export function openStartLog(
  dataDir: string,
  name: string,
  shown: boolean,
  show = (line: string): void => console.error(line),
): StartLog {
  if (shown) return { file: null, show, take: async () => '' };
  // As narrow as the data folder will be.
  mkdirSync(dataDir, { recursive: true, mode: 0o711 });
  const { logs } = dataFolder(dataDir);
  mkdirSync(logs, { recursive: true, mode: 0o700 });
  const file = path.join(logs, `${name}.log`);
  const write = appender(file);

  function record(source: string, line: string): void {
    write(`${line}\n`);
    const text = plainWarning(line);
    if (text !== null) show(`${source}: ${text}`);
  }

  return {
    file,
    show,
    destination: { write: (lines) => record('start', lines.trimEnd()) },
    take: async (source, child) => {
      const last: string[] = [];
      const [output, errors] = [child.stdout, child.stderr].map((stream) => createInterface(stream!));
      output!.on('line', (line) => record(source, line));
      errors!.on('line', (line) => {
        record(source, line);
        last.push(line);
        if (last.length > keptLines) last.shift();
      });
      await new Promise((resolve) => child.once('close', resolve));
      return last.join('\n');
    },
  };
}

/** Appends to a file, which it sets aside when it has grown too large. A full disk costs lines, not the service. */
function appender(file: string): (text: string) => void {
  let descriptor = openSync(file, 'a', 0o600);
  let bytes = fstatSync(descriptor).size;

  function setAside(): void {
    bytes = 0;
    renameSync(file, `${file}.1`);
    const next = openSync(file, 'a', 0o600);
    // Last: what cannot be set aside is written on, and tried again when as much has been written once more.
    closeSync(descriptor);
    descriptor = next;
  }

  const tried = (work: () => void): void => {
    try {
      work();
    } catch {
      // There is no other place to report it.
    }
  };
  return (text) => {
    if (bytes >= largestFile) tried(setAside);
    tried(() => {
      bytes += writeSync(descriptor, text);
    });
  };
}

/** Part, message and error's message of a line of pino's that is a warning or worse; null for another line. */
function plainWarning(line: string): string | null {
  if (!line.startsWith('{')) return null;
  try {
    const { level, component, msg, err, reason } = JSON.parse(line);
    if (!(level >= warning)) return null;
    return [component, msg, err?.message, reason]
      .filter((part) => typeof part === 'string' && part !== '')
      .join(': ');
  } catch {
    return null;
  }
}
