import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';

interface Options {
  /** Interpreter whose version, and pip, are used. */
  python: string;
  /** A pip requirements file. A comment `# without dependencies: NAME==VERSION` names a package of which nothing else is installed. */
  requirementsFile: string;
  folder: string;
  report: (line: string) => void;
}

/**
 * Makes a virtual environment with the packages of a requirements file: in a separate folder, which is then renamed, so
 * that a run that is cut off, or two runs at once, leave no half-made one. Debian's Python comes without `ensurepip`
 * (it is in python3-venv), so the environment gets no pip: the one that Python has installs into it.
 * Throws one line; what pip said is in `<folder>.log`.
 */
export async function makeEnvironment({ python, requirementsFile, folder, report }: Options): Promise<void> {
  const unfinished = `${folder}.unfinished-${process.pid}-${randomBytes(3).toString('hex')}`;
  const output: string[] = [];
  const run = (command: string, args: string[]) => runQuietly(command, args, output, report);
  await mkdir(dirname(folder), { recursive: true });
  try {
    const own = join(unfinished, 'bin', 'python');
    // Few of thousands of files are ever imported: Python compiles those when they are.
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
    // Scripts in it may name the unfinished folder; only the interpreter is used, and it does not mind.
    await rename(unfinished, folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
    await rm(`${folder}.log`, { force: true });
  } catch (error) {
    await writeFile(`${folder}.log`, `${output.join('\n')}\n`);
    throw new Error(`${(error as Error).message} (all of it: ${folder}.log)`);
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

/** Runs a command, reporting only pip's larger steps. Throws the line that says what was wrong. */
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
  const said = lines.filter((line) => line.trim() !== '');
  const reason = said.findLast((line) => /^error\b/i.test(line)) ?? said.at(-1) ?? `exit code ${code}`;
  throw new Error(`${command} ${args.slice(0, 3).join(' ')} failed: ${reason.trim()}`);
}
