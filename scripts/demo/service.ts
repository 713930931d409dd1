import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import path from 'node:path';

export interface RunningGraft {
  baseUrl: string;
  stop(): Promise<void>;
}

interface StartOptions {
  root: string;
  dataDir: string;
  /** The first key. */
  key: string;
  /** Null: any free one. */
  port: number | null;
}

/**
 * Starts API and worker as `npm start` does and waits until they are ready. Throws with the last log lines if they are not.
 * .env is not read: it belongs to the Graft that the operator runs here.
 */
export async function startGraft({ root, dataDir, key, port: wanted }: StartOptions): Promise<RunningGraft> {
  // Another Graft that listens there would answer in this one's place.
  const port = await freePort(wanted ?? undefined).catch((error: Error) => {
    throw new Error(`PORT ${wanted} cannot be used (${error.message}): choose another, or leave it unset`);
  });
  const env = {
    ...process.env,
    GRAFT_ENV_FILE: '',
    HOST: '127.0.0.1',
    PORT: String(port),
    GRAFT_DATA_DIR: dataDir,
    GRAFT_BOOTSTRAP_KEY: key,
    LOG_LEVEL: 'warn',
    GRAFT_LOG: 'stdout',
  };
  const child = spawn(
    process.execPath,
    [path.join(root, 'scripts/compile/run.mjs'), 'scripts/start/main.ts'],
    {
      cwd: root,
      env,
      // The channel lets it notice, and stop, when this process is killed.
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    },
  );
  let tail = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      tail = (tail + chunk.toString()).slice(-4000);
    });
  }
  const stop = () => end(child);
  const onSignal = () => void stop().then(() => process.exit(130));
  process.once('SIGTERM', onSignal);
  const origin = `http://127.0.0.1:${port}`;
  const deadline = Date.now() + 120_000;
  while (!(await ready(origin))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop();
      throw new Error(`Graft did not start. Its last lines:\n${tail}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return { baseUrl: `${origin}/v1`, stop };
}

/** Runs one `graft` command against the service, with its output on this terminal. Resolves to its exit code. */
export function runGraft(
  root: string,
  { baseUrl }: RunningGraft,
  key: string,
  args: string[],
): Promise<number> {
  console.log(`   $ graft ${args.join(' ')}`);
  const env = { ...process.env, GRAFT_ENV_FILE: '', GRAFT_BASE_URL: baseUrl, GRAFT_API_KEY: key };
  const child = spawn(process.execPath, [path.join(root, 'apps/cli/bin/graft.mjs'), ...args], {
    cwd: root,
    env,
    stdio: 'inherit',
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

async function ready(origin: string): Promise<boolean> {
  try {
    return (await fetch(`${origin}/readyz`)).ok;
  } catch {
    return false;
  }
}

function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGTERM');
  });
}

/** The port, if it is free; 0: one that is. */
export function freePort(wanted = 0): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
      .once('error', reject)
      .listen(wanted, '127.0.0.1', () => {
        const { port } = server.address() as { port: number };
        server.close(() => resolve(port));
      });
  });
}
