import { existsSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** The usage of one test file, as file-usage.cjs records it; CPU time is that of all its processes that have ended. */
export interface FileUsage {
  file: string;
  cpuSeconds: number;
  /** Seconds by what the file waited for. Waits may overlap each other and computation. */
  waits: Record<string, number>;
}

/** Variables for the processes of test files, so that each appends its usage to `output`. */
export function usageEnvironment(
  output: string,
  options = process.env.NODE_OPTIONS ?? '',
): NodeJS.ProcessEnv {
  const preload = JSON.stringify(join(import.meta.dirname, 'file-usage.cjs'));
  return {
    GRAFT_TEST_USAGE: output,
    GRAFT_TEST_NODE_OPTIONS: options,
    NODE_OPTIONS: `${options} --require ${preload}`.trim(),
  };
}

/** Usage by file; `programOf` returns the program that ran for a file. */
export function readUsage(
  output: string,
  files: Iterable<string>,
  programOf: (file: string) => string,
): Map<string, FileUsage> {
  const lines = existsSync(output) ? readFileSync(output, 'utf8').trim().split('\n') : [];
  const usages = lines.filter((line) => line !== '').map((line): FileUsage => JSON.parse(line));
  const byProgram = new Map(usages.map((usage) => [usage.file, usage]));
  return new Map(
    [...files].flatMap((file) => {
      const usage = byProgram.get(programOf(file));
      return usage ? [[file, usage]] : [];
    }),
  );
}

/** The slowest files, a line each: wall seconds, CPU seconds, waits. */
export function slowFiles(
  root: string,
  seconds: ReadonlyMap<string, number>,
  usage: ReadonlyMap<string, FileUsage>,
  count = 10,
): string {
  const slowest = [...seconds].sort(([, a], [, b]) => b - a).slice(0, count);
  const lines = slowest.map(([file, wall]) => {
    const { cpuSeconds, waits = {} } = usage.get(file) ?? {};
    const cpu = cpuSeconds === undefined ? '?' : cpuSeconds.toFixed(0);
    const waited = Object.entries(waits)
      .sort(([, a], [, b]) => b - a)
      .map(([what, each]) => `${what} ${each.toFixed(1)} s`);
    return `${wall.toFixed(0).padStart(6)} ${cpu.padStart(6)}  ${relative(root, file)}${waited.length > 0 ? ` (${waited.join(', ')})` : ''}`;
  });
  const all = [...seconds.values()].reduce((sum, wall) => sum + wall, 0);
  const cpu = [...usage.values()].reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);
  return [
    'The slowest files: wall seconds, CPU seconds, file (waits for)',
    ...lines,
    `${all.toFixed(0).padStart(6)} ${cpu.toFixed(0).padStart(6)}  all ${seconds.size} files`,
  ].join('\n');
}
