import type { OperatorKeyRecord, WorkerRecord } from '@graft/service';
import type { Command } from 'commander';
import { timeSpan } from '../arguments.ts';
import { bytes, timestamp } from '../draw/quantities.ts';
import { table } from '../draw/table.ts';
import { CommandError } from '../errors.ts';
import { createOutput } from '../output.ts';
import { idOf, stateOf } from '../team/keys.ts';
import { noun, type VerbOptions, verb } from '../verb.ts';
import { existingPerson } from './existing-person.ts';
import { everyPage } from './people.ts';
import { unixSeconds, withServices } from './with-services.ts';

export function addWorkerVerbs(admin: Command): void {
  const workers = noun(admin, 'workers', 'list, quarantine, release');

  verb(workers, {
    name: 'list',
    summary: 'list the workers, and which of them get no jobs',
    examples: ['graft admin workers list'],
  }).action(async (options: VerbOptions) => {
    const output = createOutput(options);
    const data = await withServices((services, { listWorkers }) =>
      everyPage((page) => listWorkers(services, page)),
    );
    output.result({ object: 'list', data: data.map(wireWorker) }, () =>
      table(
        ['WORKER', 'HOST', 'DEVICE', 'MEMORY', 'JOBS', 'LAST SIGN', 'STATE'],
        data.map((worker) => [
          worker.id,
          worker.hostname,
          worker.capabilities?.device ?? '',
          worker.capabilities?.memoryBytes === undefined ? '' : bytes(worker.capabilities.memoryBytes),
          `${worker.running} of ${worker.slots}`,
          timestamp(unixSeconds(worker.heartbeatAt)),
          worker.quarantinedAt
            ? `out of service: ${worker.quarantineReason}`
            : worker.draining
              ? 'stopping'
              : 'in service',
        ]),
        output.paint,
        'No workers. Start one with: npm run start:worker',
      ),
    );
  });

  verb(workers, {
    name: 'quarantine <worker>',
    summary: 'take a worker out of service: it finishes what it runs and gets no other jobs',
    examples: [
      'graft admin workers quarantine worker-… --reason "new disk"',
      'graft admin workers quarantine worker-… --reason "goes home" --drain',
    ],
  })
    .requiredOption('--reason <reason>', 'why, for others')
    .option('--drain', 'what it runs goes elsewhere, from a checkpoint, instead of being finished')
    .action(async (id: string, options: VerbOptions & { reason: string; drain?: true }) => {
      const { reason: quarantine, drain } = options;
      await setService(id, { quarantine, drain }, options, `${id} gets no jobs any more.`);
    });

  verb(workers, {
    name: 'release <worker>',
    summary: 'take a worker back into service, after it was mended',
    examples: ['graft admin workers release worker-…'],
  }).action(async (id: string, options: VerbOptions) => {
    await setService(id, 'release', options, `${id} gets jobs again.`);
  });
}

async function setService(
  id: string,
  change: { quarantine: string; drain?: true | undefined } | 'release',
  options: VerbOptions,
  done: string,
): Promise<void> {
  const worker = await withServices((services, { setWorkerService }) =>
    setWorkerService(services, id, change, null),
  );
  if (!worker) throw new CommandError(`There is no worker ${id}. \`graft admin workers list\` shows them.`);
  createOutput(options).result(wireWorker(worker), () => done);
}

/** `graft admin operator-keys …`: the keys with which the operator uses the API. */
export function addOperatorKeyVerbs(admin: Command): void {
  const keys = noun(admin, 'operator-keys', 'create, list, revoke');

  verb(keys, {
    name: 'create',
    summary: 'make a key of the operator for the API and print it, the only time it can be seen',
    examples: ['graft admin operator-keys create --name deploy --expires 90d'],
  })
    .requiredOption('--name <name>', 'what it is for')
    .option('--person <person>', "id or email of whose it is (default: the service's own)")
    .option('--expires <time>', 'it ends after 12h, 90d, …', timeSpan)
    .action(async (options: VerbOptions & { name: string; person?: string; expires?: number }) => {
      const output = createOutput(options);
      const made = await withServices(async (services, service) => {
        const person =
          options.person === undefined ? null : await existingPerson(services, service, options.person);
        return await service.createOperatorKey(services, {
          name: options.name,
          personId: person?.id ?? null,
          expiresIn: options.expires ?? null,
        });
      });
      output.result({ ...wireKey(made.record), key: made.key }, () => made.key);
      output.note(
        'It manages teams, people and workers, and reads no data of a team. It is shown this once.',
      );
    });

  verb(keys, {
    name: 'list',
    summary: 'list the keys of the operator, newest first',
    examples: ['graft admin operator-keys list'],
  }).action(async (options: VerbOptions) => {
    const output = createOutput(options);
    const rows = await withServices((services, { listOperatorKeys }) =>
      everyPage((page) => listOperatorKeys(services, page)),
    );
    const data = rows.map(wireKey);
    output.result({ object: 'list', data }, () =>
      table(
        ['KEY', 'NAME', 'OF', 'LAST USED', 'STATE'],
        data.map((key) => [
          key.id,
          key.name,
          key.person_id ?? 'service',
          key.last_used_at === null ? 'never' : timestamp(key.last_used_at),
          stateOf(key),
        ]),
        output.paint,
        'No keys of the operator.',
      ),
    );
  });

  verb(keys, {
    name: 'revoke <key>',
    summary: 'end a key of the operator, given by its id or whole; it stops working at once',
    examples: ['graft admin operator-keys revoke op_Zb3kQ9wLx0aT'],
  }).action(async (key: string, options: VerbOptions) => {
    const id = idOf(key);
    const done = await withServices((services, { revokeOperatorKey }) => revokeOperatorKey(services, id));
    if (!done)
      throw new CommandError(`There is no valid key ${id}. \`graft admin operator-keys list\` shows them.`);
    createOutput(options).result({ id, revoked: true }, () => `Revoked ${id}.`);
  });
}

const seconds = (date: Date | null) => date && unixSeconds(date);

/** Field names and times as the API has them. */
const wireKey = (key: OperatorKeyRecord) => ({
  id: key.id,
  name: key.name,
  person_id: key.personId,
  created_at: unixSeconds(key.createdAt),
  last_used_at: seconds(key.lastUsedAt),
  expires_at: seconds(key.expiresAt),
  revoked_at: seconds(key.revokedAt),
});

const wireWorker = (worker: WorkerRecord) => ({
  id: worker.id,
  hostname: worker.hostname,
  device: worker.capabilities?.device ?? null,
  gpus: worker.capabilities?.gpus ?? null,
  gpu_faults: worker.capabilities?.gpuFaults ?? [],
  memory_bytes: worker.capabilities?.memoryBytes ?? null,
  flops: worker.capabilities?.flops ?? null,
  confinement: worker.capabilities?.confinement ?? null,
  slots: worker.slots,
  running: worker.running,
  draining: worker.draining,
  version: worker.version,
  heartbeat_at: unixSeconds(worker.heartbeatAt),
  quarantined_at: seconds(worker.quarantinedAt),
  quarantine_reason: worker.quarantineReason,
});
