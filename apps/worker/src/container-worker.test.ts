// A worker as its container starts it: as root with the capabilities of docker-compose.yml, by docker/start-worker.sh. It trains the same
// adapter as an unconfined trainer, it generates, and its trainer runs as a separate user without rights. Needs no container engine.
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { generationPath, generationProtocol, protocolHeader } from '@graft/service/channel';
import type { Job, WorkerCapabilities } from '@graft/service/jobs';
import { ensureConfine } from '../../../scripts/bootstrap/confine.mjs';
import { ensureCompiled } from '../../../scripts/compile/compile.mjs';
import { makeApiToken } from './testing/api-token.ts';
import { workerSettings } from './testing/forked-worker.ts';
import { startJob } from './testing/start-job.ts';
import { openWorkerBench, type WorkerBench } from './testing/worker-bench.ts';
import { TrainerProcess } from './training/trainer-process.ts';

const root = join(import.meta.dirname, '../../..');
const compose = await readFile(join(root, 'docker-compose.yml'), 'utf8');
const added = /cap_add: \[(.+)\]/
  .exec(compose)![1]!
  .split(', ')
  .map((name) => `+${name.toLowerCase()}`);

/** Makes root's home folder passable for other users, who see only its cache. */
const openHome = `
  set -eu
  cache="$1"; shift
  mkdir -p "$HOME/.graft-cache-of-test"; mount --bind "$cache" "$HOME/.graft-cache-of-test"
  aside=$(mktemp -d); mount --move "$HOME/.graft-cache-of-test" "$aside"; rmdir "$HOME/.graft-cache-of-test"
  mount -t tmpfs -o mode=755 none "$HOME"; mkdir -p "$cache"; mount --move "$aside" "$cache"; rmdir "$aside"
  exec "$@"`;
const canMount =
  process.getuid?.() === 0 &&
  spawnSync('unshare', ['-m', '--propagation', 'private', 'setpriv', '--version']).status === 0;

let bench: WorkerBench;
let container: ChildProcess;

async function start(env: NodeJS.ProcessEnv): Promise<ChildProcess> {
  const { services } = bench;
  const none = `--bounding-set=-all,${added.join(',')}`;
  const rights = [none, '--inh-caps=-all', '--ambient-caps=-all', '--no-new-privs'];
  const started = spawn(
    'unshare',
    [
      '-m',
      '--propagation',
      'private',
      'sh',
      '-c',
      openHome,
      'sh',
      services.env.cacheDir,
      'setpriv',
      ...rights,
      'sh',
      'docker/start-worker.sh',
    ],
    {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        ...workerSettings(services),
        // Same settings as in `startJob`: the results depend on them.
        GRAFT_TRAINER_THREADS: '1',
        GRAFT_KERNELS: 'stock',
        GRAFT_LOG: 'stdout',
        GRAFT_ENV_FILE: '',
        GRAFT_INTERNAL_TOKEN: services.secrets.internalToken,
        ...env,
      },
    },
  );
  let output = '';
  for (const stream of [started.stdout, started.stderr])
    stream.on('data', (chunk) => {
      output += chunk;
      if (process.env.TEST_LOG_LEVEL) process.stderr.write(chunk);
    });
  started.once('exit', (code) => code && process.stderr.write(output.slice(-3000)));
  return started;
}

async function stop(worker: ChildProcess): Promise<void> {
  if (worker.exitCode !== null) return;
  const exited = once(worker, 'exit');
  worker.kill('SIGTERM');
  await exited;
}

async function queueJob(): Promise<Job> {
  const lines = Array.from({ length: 16 }, (_, i) => JSON.stringify({ text: `Sentence ${i} of ${i + 1}.` }));
  const training = { n_epochs: 2, batch_size: 4, checkpoint_steps: 2, precision: 'fp32' } as const;
  return await bench.queueJob(lines.join('\n'), { training });
}

/** Trains the job with an unconfined trainer in this process's user; returns the digest of the adapter. */
async function trainUnconfined(): Promise<string> {
  const { services } = bench;
  const trainer = new TrainerProcess({
    entry: new URL('./training/trainer.ts', import.meta.url),
    device: { kind: 'cpu' },
    log: services.log,
    stallMilliseconds: 60_000,
    idleMilliseconds: 60_000,
  });
  try {
    const job = await queueJob();
    assert.equal(await (await startJob(services, job, trainer, { leaseSeconds: 60 })).outcome, 'succeeded');
    const version = await services.db.adapterVersion.findFirstOrThrow({ where: { jobId: job.id } });
    return version.digest;
  } finally {
    await trainer.close();
  }
}

/** Trains a job; returns it with the digest of its adapter and an answer generated with the adapter. */
async function trainAndAsk(during: () => Promise<void>) {
  const { services } = bench;
  const { id } = await queueJob();
  // The test's files are root's. In a container, the API runs as the same user as the worker.
  execFileSync('chown', ['-R', '1000:1000', services.env.dataDir]);
  await bench.until(id, (job) => job.state === 'running', 60);
  await during();
  await bench.untilState(id, 'succeeded', 60);
  const { rows } = await services.sql.query<{ id: string; artifact: string; digest: string }>(
    'SELECT id, artifact, digest FROM adapter_versions WHERE job_id = $1',
    [id],
  );
  const [version] = rows;
  const { rows: workers } = await services.sql.query<{
    id: string;
    address: string;
    capabilities: WorkerCapabilities;
  }>('SELECT id, address, capabilities FROM workers ORDER BY heartbeat_at DESC LIMIT 1');
  const base_digest = await (await services.baseModels.get('tiny'))!.digest();
  const answer = await fetch(`${workers[0]!.address}${generationPath}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${await makeApiToken(services, workers[0]!.id)}`,
      'content-type': 'application/json',
      [protocolHeader]: String(generationProtocol),
    },
    body: JSON.stringify({
      base_model: 'tiny',
      adapter: { version_id: version!.id, artifact: version!.artifact, suspect: false, base_digest },
      prompt: 'Sentence',
      max_tokens: 12,
      temperature: 0,
      top_p: 1,
      stop: [],
      seed: 1,
    }),
  });
  assert.equal(answer.status, 200);
  return { digest: version!.digest, answer: await answer.text(), capabilities: workers[0]!.capabilities };
}

/** The fields of /proc/<pid>/status for a user's newest process that runs `file`, once there is one. */
async function statusOf(user: number, file: string): Promise<Record<string, string>> {
  for (let tries = 0; tries < 1000; tries++) {
    const [pid] = spawnSync('pgrep', ['-n', '-u', String(user), '-f', file], {
      encoding: 'utf8',
    }).stdout.split('\n');
    const text = pid ? await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '') : '';
    // Until then the process is still the confine program.
    if (text && !text.startsWith('Name:\tconfine'))
      return Object.fromEntries(text.split('\n').map((line) => line.split(/:\s*/) as [string, string]));
    await sleep(20);
  }
  throw new Error(`user ${user} runs no ${file}`);
}

describe('a worker in a container', { skip: canMount ? false : 'needs root and a mount namespace' }, () => {
  before(async () => {
    bench = await openWorkerBench();
    await ensureConfine({ log: () => {}, cacheDir: bench.services.env.cacheDir, root });
    await ensureCompiled(root);
    await chmod(dirname(bench.modelFolder('tiny')), 0o755);
  });
  after(async () => {
    await stop(container);
    await bench.close();
  });

  it('trains as an unconfined trainer does, and answers, in processes that have no rights', async () => {
    container = await start({ GRAFT_TRAINER_USER: '10001-10064', GRAFT_TRAINER_SANDBOX: 'required' });
    const confined = await trainAndAsk(async () => {
      const trainer = await statusOf(10002, 'training/trainer\\.js');
      const worker = await statusOf(1000, 'apps/worker/src/main\\.js');
      assert.match(worker.Uid!, /^1000\s/);
      assert.match(trainer.Uid!, /^10002\s+10002\s+10002\s+10002$/);
      assert.match(trainer.Gid!, /^10002\s/);
      assert.deepEqual(
        [
          trainer.Groups?.trim(),
          trainer.CapEff,
          trainer.CapPrm,
          trainer.CapAmb,
          trainer.NoNewPrivs,
          trainer.Seccomp,
        ],
        ['', '0'.repeat(16), '0'.repeat(16), '0'.repeat(16), '1', '2'],
      );
    });
    assert.ok(confined.capabilities.confinement!.includes('user'));
    assert.ok(confined.capabilities.confinement!.includes('files'));
    await stop(container);
    assert.match(confined.answer, /"type":"done"/);
    assert.equal(confined.digest, await trainUnconfined());
  });
});
