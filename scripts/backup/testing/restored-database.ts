import assert from 'node:assert/strict';
import { listAuditHeads, verifyAudit } from '@graft/service/audit';
import { prepareDatabase } from '@graft/service/services';
import pg from 'pg';

/** Prepares a restored database, as the next start of Graft does: workers' rights are not in a backup. */
export async function start(url: string): Promise<void> {
  const sql = new pg.Pool({ connectionString: url });
  // Dropping the database breaks connections that are about to end.
  sql.on('error', () => {});
  try {
    await prepareDatabase({ sql });
  } finally {
    await sql.end();
  }
}

/** Checks every chain of the audit log, as `graft admin audit verify` does. Resolves to their lengths. */
export async function verifyChains(url: string): Promise<Record<string, number>> {
  const sql = new pg.Pool({ connectionString: url });
  // Dropping the database breaks connections that are about to end.
  sql.on('error', () => {});
  try {
    const lengths: Record<string, number> = {};
    for (const { chain, sequence } of (await listAuditHeads({ sql }, { limit: 1_000 })).data) {
      assert.equal((await verifyAudit({ sql }, chain)).fault, null, chain);
      lengths[chain] = sequence;
    }
    return lengths;
  } finally {
    await sql.end();
  }
}
