import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pythonEnvironment } from '../../../../../scripts/golden/environment/python-environment.ts';

export interface TrackingServer {
  url: string;
  close(): Promise<void>;
}

/** The token that the trackio server requires for writing. */
export const writeToken = 'a-write-token-of-a-test';

const trackioScript = `
import sys, time, trackio
trackio.show(open_browser=False, block_thread=False, host="127.0.0.1", server_port=int(sys.argv[1]))
time.sleep(10**6)
`;

import { freePort } from '../../testing/free-port.ts';

/** Shared, because two concurrent calls would install it twice. */
let environment: Promise<string> | undefined;

/** Starts the server from PyPI on a free port with a new folder. Starting takes seconds; the first installation takes minutes. */
export async function openTrackingServer(kind: 'mlflow' | 'trackio'): Promise<TrackingServer> {
  environment ??= pythonEnvironment(undefined, 'tracking');
  const python = await environment;
  const folder = await mkdtemp(join(tmpdir(), `graft-${kind}-`));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const options =
    kind === 'mlflow'
      ? [
          ...['-m', 'mlflow', 'server', '--host', '127.0.0.1', '--port', String(port), '--workers', '1'],
          ...['--backend-store-uri', `sqlite:///${folder}/mlflow.db`],
          ...['--default-artifact-root', join(folder, 'artifacts')],
        ]
      : ['-c', trackioScript, String(port)];
  const child = spawn(python, options, {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    // A separate process group: mlflow's server starts child processes.
    detached: true,
    env: {
      ...process.env,
      HOME: folder,
      MLFLOW_DISABLE_TELEMETRY: 'true',
      // Saves seven processes that the tests do not use.
      MLFLOW_SERVER_ENABLE_JOB_EXECUTION: 'false',
      DO_NOT_TRACK: 'true',
      GRADIO_ANALYTICS_ENABLED: 'False',
      HF_HUB_OFFLINE: '1',
      TRACKIO_DIR: join(folder, 'trackio'),
      TRACKIO_WRITE_TOKEN: writeToken,
    },
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4000);
    });
  const close = async () => {
    const exited = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : null;
    if (exited) process.kill(-child.pid!, 'SIGKILL');
    await exited;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await untilUp(kind === 'mlflow' ? `${url}/health` : url, child);
  } catch (error) {
    await close();
    throw new Error(`${kind}: ${(error as Error).message}\n${said}`);
  }
  return { url, close };
}

async function untilUp(url: string, child: ChildProcess): Promise<void> {
  const end = performance.now() + 300_000;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`);
    const isUp = await fetch(url).then(
      ({ status }) => status < 500,
      () => false,
    );
    if (isUp) return;
    if (performance.now() > end) throw new Error('the server did not start');
    await sleep(200);
  }
}
