import type { AuditCheck, AuditHead } from '@graft/service';
import type { Command } from 'commander';
import { table } from '../draw/table.ts';
import { CommandError, UsageError } from '../errors.ts';
import { createOutput } from '../output.ts';
import { noun, type VerbOptions, verb } from '../verb.ts';
import { type Service, withServices } from './with-services.ts';

const installation = 'installation';
const nameOf = (chain: string) => chain || installation;
const chainOf = (name: string) => (name === installation ? '' : name);

/** `graft admin audit …`: whether the audit log is as it was written. */
export function addAuditVerbs(admin: Command): void {
  const audit = noun(admin, 'audit', 'verify, heads');

  verb(audit, {
    name: 'verify',
    summary: 'check the hashes of the audit log; exit code 1 and the first broken entry if one was changed',
    examples: ['graft admin audit verify', 'graft admin audit verify --chain team-… --head 812:9f86d0…'],
  })
    .option('--chain <team>', 'one chain alone: a team, or `installation` (default: all)')
    .option('--head <sequence:hash>', 'an entry of that chain as it was exported: it must be there as it was')
    .action(async (options: VerbOptions & { chain?: string; head?: string }) => {
      const { chain, head: text } = options;
      const head = text === undefined ? null : parseHead(text);
      if (head && chain === undefined) throw new UsageError('--head needs --chain, whose entry it is.');
      const checks = await withServices(async (services, service) => {
        const check = (of: string) => checkChain((page) => service.verifyAudit(services, of, page), head);
        if (chain !== undefined) return [await check(chainOf(chain))];
        const all: AuditCheck[] = [];
        for (const each of await everyHead((page) => service.listAuditHeads(services, page)))
          all.push(await check(each.chain));
        return all;
      });
      printChecks(checks, options);
    });

  verb(audit, {
    name: 'heads',
    summary: 'print the last hash of every chain of the audit log, to be kept elsewhere',
    examples: ['graft admin audit heads --json'],
  }).action(async (options: VerbOptions) => {
    const output = createOutput(options);
    const heads = await withServices((services, { listAuditHeads }) =>
      everyHead((page) => listAuditHeads(services, page)),
    );
    const data = heads.map(({ chain, sequence, hash }) => ({ id: nameOf(chain), sequence, hash }));
    output.result({ object: 'list', data }, () =>
      table(
        ['CHAIN', 'HEAD'],
        data.map(({ id, sequence, hash }) => [id, `${sequence}:${hash}`]),
        output.paint,
        'The audit log is empty.',
      ),
    );
  });
}

type Head = Pick<AuditHead, 'sequence' | 'hash'>;

function parseHead(text: string): Head {
  const [, sequence, hash] = /^([1-9]\d{0,14}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (!sequence || !hash)
    throw new UsageError('--head has the form SEQUENCE:HASH, as `graft admin audit heads` prints it.');
  return { sequence: Number(sequence), hash };
}

/** Page after page, to the end or the first fault. `head`: an entry that must be there. */
async function checkChain(
  read: (page: { after: number; limit?: number }) => Promise<AuditCheck>,
  head: Head | null,
): Promise<AuditCheck> {
  let check = await read({ after: 0 });
  while (!check.done) check = await read({ after: check.last.sequence });
  if (check.fault || !head) return check;
  const { last } = await read({ after: head.sequence - 1, limit: 1 });
  if (last.sequence === head.sequence && last.hash === head.hash) return check;
  return { ...check, fault: { sequence: head.sequence, id: null, reason: 'head' } };
}

function printChecks(checks: AuditCheck[], options: VerbOptions): void {
  const output = createOutput(options);
  output.result({ object: 'list', data: checks.map(wireCheck) }, () =>
    table(
      ['CHAIN', 'ENTRIES IN ORDER', 'STATE'],
      checks.map(({ chain, last, fault }) => [
        nameOf(chain),
        String(last.sequence),
        fault ? `broken at ${fault.sequence}: ${fault.reason}` : 'unchanged',
      ]),
      output.paint,
      'The audit log is empty.',
    ),
  );
  for (const { chain, fault } of checks) {
    if (fault)
      throw new CommandError(
        `The audit log was changed: the first broken entry of ${nameOf(chain)} is number ${fault.sequence} (${fault.reason}). Compare it with your exported copy.`,
      );
  }
}

async function everyHead(
  read: (page: { after?: string; limit: number }) => ReturnType<Service['listAuditHeads']>,
): Promise<AuditHead[]> {
  const heads: AuditHead[] = [];
  for (;;) {
    const last = heads.at(-1);
    const page = await read({ limit: 1_000, ...(last ? { after: last.chain } : {}) });
    heads.push(...page.data);
    if (!page.hasMore) return heads;
  }
}

/** Field names as the API has them. */
const wireCheck = ({ chain, last, fault }: AuditCheck) => ({
  id: nameOf(chain),
  last_sequence: last.sequence,
  last_hash: last.hash,
  fault: fault && { sequence: fault.sequence, entry_id: fault.id, reason: fault.reason },
});
