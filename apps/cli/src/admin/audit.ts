import type { Wire } from '@graft/client';
import type { Command } from 'commander';
import { listed } from '../answer.ts';
import { UsageError } from '../errors.ts';
import { found, listVerb, serviceVerb, wholePage } from '../remote/service-verb.ts';
import { noun } from '../verb.ts';
import type { Admin } from './existing.ts';

/** `graft admin audit …`: verifies the integrity of the audit log. */
export function addAuditVerbs(admin: Command): void {
  const audit = noun(admin, 'audit', 'integrity of the audit log: verify, heads');
  const empty = 'The audit log is empty.';

  const verifies =
    'check the hashes of the audit log; if an entry was changed, print the first one and exit with code 1';
  serviceVerb(audit, 'verify', verifies, '', '--chain team-… --head 812:9f86d0…')
    .option('--chain <team>', 'only this chain: a team id, or `installation` (default: all)')
    .option('--head <sequence:hash>', 'check that the chain still has this exported entry, unchanged')
    .run(async ({ admin }, { chain, head: text }: { chain?: string; head?: string }) => {
      const head = text === undefined ? null : parseHead(text);
      if (head && chain === undefined) throw new UsageError('--head needs --chain.');
      const chains = chain === undefined ? await admin.audit.chains(wholePage).toArray() : [{ id: chain }];
      const checks: Wire.AuditCheck[] = [];
      for (const { id } of chains) checks.push(await checkChain(admin, id, head));
      const columns = { CHAIN: 'id', 'ENTRIES IN ORDER': 'last_sequence', STATE: describeState } as const;
      return { ...listed(checks, columns, empty), failure: describeFirst(checks) };
    });

  listVerb(audit, ({ admin }, page) => admin.audit.chains(page), {
    name: 'heads',
    summary: 'print the last hash of every chain of the audit log, to store elsewhere for `verify --head`',
    columns: { CHAIN: 'id', HEAD: ({ sequence, hash }) => `${sequence}:${hash}` },
    empty,
  });
}

const describeState = ({ fault }: Wire.AuditCheck): string =>
  fault ? `broken at ${fault.sequence}: ${fault.reason}` : 'unchanged';

function describeFirst(checks: Wire.AuditCheck[]): string | undefined {
  const { id, fault } = checks.find((check) => check.fault) ?? {};
  if (!fault) return undefined;
  return `The audit log was changed: the first broken entry of ${id} is number ${fault.sequence} (${fault.reason}). Compare it with your exported copy.`;
}

type Head = Pick<Wire.AuditChain, 'sequence' | 'hash'>;

function parseHead(text: string): Head {
  const [, sequence, hash] = /^([1-9]\d{0,14}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (!sequence || !hash)
    throw new UsageError('--head has the form SEQUENCE:HASH, as `graft admin audit heads` prints it.');
  return { sequence: Number(sequence), hash };
}

/** Checks a chain page by page, up to the end or the first fault. `head`: an entry that must be in the chain. */
async function checkChain({ audit }: Admin, id: string, head: Head | null): Promise<Wire.AuditCheck> {
  const missing = `There is no chain ${id} of the audit log. \`graft admin audit heads\` shows them.`;
  let check = await found(audit.check(id), missing);
  while (!check.done) check = await audit.check(id, { after: check.last_sequence });
  if (check.fault || !head) return check;
  const entry = await audit.check(id, { after: head.sequence - 1, limit: 1 });
  if (entry.last_sequence === head.sequence && entry.last_hash === head.hash) return check;
  return { ...check, fault: { sequence: head.sequence, entry_id: null, reason: 'head' } };
}
