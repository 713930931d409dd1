import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';

interface Options {
  /** Interpreter that provides the Python version and pip. */
  python: string;
  /** A pip requirements file. A comment `# without dependencies: NAME==VERSION` adds a package without its dependencies. */
  requirementsFile: string;
  folder: string;
  report: (line: string) => void;
}

/**
 * Creates a virtual environment with the packages of a requirements file, in a temporary folder that is then renamed, so that interrupted
 * or concurrent runs leave no incomplete environment. The environment gets no pip, because Debian's Python lacks `ensurepip` (it is in
 * python3-venv); the interpreter's pip installs into it. Throws one line; pip's output is in `<folder>.log`.
 */
export async function makeEnvironment({ python, requirementsFile, folder, report }: Options): Promise<void> {
  const unfinished = `${folder}.unfinished-${process.pid}-${randomBytes(3).toString('hex')}`;
  const output: string[] = [];
  const run = (command: string, args: string[]) => runQuietly(command, args, output, report);
  await mkdir(dirname(folder), { recursive: true });
  try {
    const own = join(unfinished, 'bin', 'python');
    // Only a few of thousands of files are imported; Python compiles these on import.
    const install = [
      '-m',
      'pip',
      'install',
      '--disable-pip-version-check',
      '--prefer-binary',
      '--no-compile',
    ];
    const alone = packagesAlone(await readFile(requirementsFile, 'utf8'));
    const installs = [
      [...install, '-r', requirementsFile],
      ...(alone.length === 0 ? [] : [[...install, '--no-deps', ...alone]]),
    ];
    const hasPip = canImport(python, 'pip');
    await run(python, ['-m', 'venv', ...(hasPip ? ['--without-pip'] : []), unfinished]);
    // --target, as `pip --python` is newer than some distributions' pip.
    for (const args of installs)
      await (hasPip ? run(python, [...args, '--target', packagesFolder(own)]) : run(own, args));
    // Scripts in the environment may contain the temporary folder's path, but only the interpreter is used.
    await rename(unfinished, folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
    await rm(`${folder}.log`, { force: true });
  } catch (error) {
    await writeFile(`${folder}.log`, `${output.join('\n')}\n`);
    throw new Error(`${(error as Error).message} (full output: ${folder}.log)`);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

function packagesAlone(requirements: string): string[] {
  return [...requirements.matchAll(/^# without dependencies: (\S+)$/gm)].map(([, name]) => name!);
}

export function canImport(python: string, module: string): boolean {
  return spawnSync(python, ['-c', `import ${module}`], { stdio: 'ignore', timeout: 60_000 }).status === 0;
}

function packagesFolder(python: string): string {
  const script = 'import sysconfig; print(sysconfig.get_path("purelib"))';
  return spawnSync(python, ['-c', script], { encoding: 'utf8' }).stdout.trim();
}

/** Runs a command and reports only pip's larger steps. Throws the line of its output with the reason. */
async function runQuietly(
  command: string,
  args: string[],
  output: string[],
  report: (line: string) => void,
): Promise<void> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      if (/^(Collecting|Building|Installing collected)/.test(line))
        report(`  ${line.replace(/ \(from .*/, '').slice(0, 100)}`);
    });
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  output.push(`$ ${command} ${args.join(' ')}`, ...lines);
  if (code === 0) return;
  const printed = lines.filter((line) => line.trim() !== '');
  const reason = printed.findLast((line) => /^error\b/i.test(line)) ?? printed.at(-1) ?? `exit code ${code}`;
  throw new Error(`${command} ${args.slice(0, 3).join(' ')} failed: ${reason.trim()}`);
}
