import { connectOwner } from '@graft/service/database';
import { createLogger } from '@graft/service/logger';
import { prepareDatabase } from '@graft/service/services';
import { createTestDatabase } from '@graft/service/testing';
import { joinRows, plainTable } from '../methods/markdown-table.ts';

/** The roles of docs/security.md, and what runs under each. */
const roles = [
  ['graft_team', 'API, for a team'],
  ['graft_system', 'API, for all teams'],
  ['graft_worker', 'worker'],
] as const;

/** The rights that the table abbreviates as "all". */
const ALL = 'reads, adds, changes, removes';

interface Row {
  name: string;
  rights: Record<string, string | null>;
}

/**
 * Rights of each role on each table of a migrated database, as Postgres reports them: the table of docs/security.md.
 * Row-level security narrows them: it shows a team's requests that team's rows alone.
 */
export async function databaseMatrix(): Promise<string> {
  const database = await createTestDatabase();
  const owner = connectOwner(database.url, createLogger({ level: 'silent', name: 'security' }));
  try {
    await prepareDatabase(owner);
    const rights = roles.map(([role]) => `'${role}', ${rightsOf(role)}`).join(', ');
    const { rows } = await owner.sql.query<Row>(
      `SELECT relname AS name, jsonb_build_object(${rights}) AS rights FROM pg_class
       WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace ORDER BY 1`,
    );
    const strangers = await owner.sql.query<{ relname: string }>(
      `SELECT relname FROM pg_class, aclexplode(relacl) WHERE relnamespace = 'public'::regnamespace AND grantee = 0`,
    );
    if (strangers.rows.length > 0) throw new Error(`PUBLIC may use ${strangers.rows[0]!.relname}`);
    const head = ['tables', ...roles.map(([, what]) => what)];
    const lines = rows.map(({ name, rights }) => [
      `\`${name}\``,
      ...roles.map(([role]) => (rights[role] === ALL ? 'all' : (rights[role] ?? 'none'))),
    ]);
    return plainTable(head, joinRows(lines));
  } finally {
    await owner.sql.end();
    await database.drop();
  }
}

/** SQL of the words for one role: `(…)` names the columns, where it is not all of them. */
function rightsOf(role: string): string {
  const words = Object.entries({ SELECT: 'reads', INSERT: 'adds', UPDATE: 'changes', DELETE: 'removes' });
  const each = words.map(([privilege, word]) => {
    const whole = `has_table_privilege('${role}', pg_class.oid, '${privilege}')`;
    if (privilege === 'DELETE') return `CASE WHEN ${whole} THEN '${word}' END`;
    const columns = `(SELECT string_agg(attname, ', ' ORDER BY attname) FROM pg_attribute WHERE attrelid = pg_class.oid AND attnum > 0
      AND NOT attisdropped AND has_column_privilege('${role}', attrelid, attnum, '${privilege}'))`;
    return `CASE WHEN ${whole} THEN '${word}' ELSE '${word} (' || ${columns} || ')' END`;
  });
  return `nullif(concat_ws(', ', ${each.join(', ')}), '')`;
}
