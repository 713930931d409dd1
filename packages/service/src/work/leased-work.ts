/**
 * Work that one process at a time does, under a lease in the row of the work itself: a delivery, an export, a report.
 *
 * Vocabulary
 * - kind: a table of such rows, described by a `WorkKind`. The columns of all kinds mean the same, whatever their names.
 * - lease: the right to do the work of a row until a time by Postgres's clock, which the holder postpones by renewing. Each claim draws
 *   another token, which guards every write of the holder: a write that matches no row is fenced, because another process has the work, or
 *   it has ended or is gone.
 * - free: open, due, and without a lease whose holder could still renew it. Any process may claim a free row.
 * - turn: number of a row among its team's due and leased ones. Rows of a lower turn come first, so that no team waits for another one's.
 */
import { randomUUID } from 'node:crypto';
import { type Database, statementWithin, type Transaction } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { hasExpired, renewalMs } from '../database/lease-expiry.ts';
import { lockName } from '../database/wait-for-row.ts';
import { Prisma } from '../generated/client.ts';

type Sql = Prisma.Sql;
const { join, raw, sql } = Prisma;

/** The columns and states of one kind. `Key`: members of a lease that identify its row. */
export interface WorkKind<Key extends string = string> {
  table: string;
  /** Column of each member of the key. A kind without `teamId` belongs to the installation. */
  key: Readonly<Record<Key, string>>;
  /** Column of the lease's token. */
  token: 'lease_token' | 'holder';
  /** Column of the time before which a row is not claimed. Absent: a waiting row is due at once. */
  due?: string;
  /**
   * Column of the state, and the state of waiting, leased and failed rows. Where waiting and leased rows have one state, a claim keeps it,
   * and `also` names further such states. Without `state`, `open` decides alone.
   */
  state?: { column: string; waiting: string; leased: string; failed: string; also?: readonly string[] };
  /** Column of the time at which work ended. */
  ended?: string;
  /** SQL over a row: it may be claimed, beside the condition of its state. */
  open?: string;
  /** True where the column `attempts` counts the claims that were not released. */
  countsAttempts?: boolean;
}

/** The right to do the work of one row. */
export type WorkLease<Key extends string = string> = Readonly<Record<Key | 'token', string>>;

/** Seconds until the second attempt, each further delay being twice as long, and the longest delay. */
export interface RetryTimes {
  firstSeconds: number;
  longestSeconds: number;
}

/** Maximum number of rows in one claim, and the duration of its leases. */
export interface ClaimSize {
  count: number;
  leaseSeconds: number;
}

export interface TeamShares {
  /** Maximum number of a team's rows that all processes work on; approximate, except in `claimWorkAlone`. */
  perTeam: number;
  /** How many of `count` are kept for teams that none is worked on of, so that slow teams together do not take all. */
  keptForOthers?: number;
}

type Connection = Pick<Database, 'sql'> | Transaction;

async function run<Row extends object>(on: Connection, statement: Sql): Promise<Row[]> {
  return 'sql' in on ? (await on.sql.query<Row>(statement)).rows : await on.$queryRaw<Row[]>(statement);
}

const columnOf = ({ table }: WorkKind, name: string): Sql => raw(`${table}.${name}`);
const keyOf = (kind: WorkKind): Sql => raw(Object.values(kind.key).join(', '));

function isOpen(kind: WorkKind): Sql {
  const { state, open = 'true' } = kind;
  if (!state) return raw(`(${open})`);
  const states = [state.waiting, state.leased, ...(state.also ?? [])];
  return sql`(${columnOf(kind, state.column)} IN (${join(states)}) AND ${raw(open)})`;
}

/** SQL over a leased row: its holder was lost, or another process that knows so has set the end of the lease to 1970. */
function isLost(kind: WorkKind, leaseSeconds: number): Sql {
  const until = columnOf(kind, 'lease_until');
  return sql`(${until} = to_timestamp(0) OR ${hasExpired(leaseSeconds, until)})`;
}

/** SQL over a row of the kind: any process may claim it. */
export function isFree(kind: WorkKind, leaseSeconds: number): Sql {
  const isDue = kind.due === undefined ? raw('true') : sql`${columnOf(kind, kind.due)} <= now()`;
  return sql`(${isOpen(kind)} AND ${isDue}
    AND (${columnOf(kind, 'lease_until')} IS NULL OR ${isLost(kind, leaseSeconds)}))`;
}

/** SQL over a row of the kind: a process works on it. */
export function isLeased(kind: WorkKind, leaseSeconds: number): Sql {
  return sql`(${columnOf(kind, 'lease_until')} IS NOT NULL AND ${isOpen(kind)} AND NOT ${isLost(kind, leaseSeconds)})`;
}

/**
 * SQL: the key and place of free rows, teams in turn; of one team those of lost processes first, then those that are due longest. `order`: SQL of
 * what decides between teams before that time.
 */
export function teamsInTurn(
  kind: WorkKind,
  {
    count,
    perTeam,
    keptForOthers = 0,
    leaseSeconds,
    order = 'NULL::int',
  }: ClaimSize & TeamShares & { order?: string },
): Sql {
  const [key, table] = [keyOf(kind), raw(kind.table)];
  const team = kind.key.teamId === undefined ? raw("''") : columnOf(kind, kind.key.teamId);
  return sql`
    WITH leased AS MATERIALIZED (
      SELECT ${team} AS team, count(*) AS n FROM ${table} WHERE ${isLeased(kind, leaseSeconds)} GROUP BY 1
    ), due AS (
      SELECT ${key}, ${raw(order)} AS earliest, ${raw(kind.due ?? 'created_at')} AS due_at,
        row_number() OVER (PARTITION BY ${team} ORDER BY lease_until IS NULL, ${raw(kind.due ?? 'created_at')}, ${key})
          + coalesce((SELECT n FROM leased WHERE leased.team = ${team}), 0) AS turn
      FROM ${table} WHERE ${isFree(kind, leaseSeconds)}
    ), placed AS (
      SELECT ${key}, turn, row_number() OVER (ORDER BY turn, earliest NULLS FIRST, due_at, ${key}) AS place
      FROM due WHERE turn <= ${perTeam}
    )
    SELECT ${key}, place FROM placed WHERE turn = 1 OR place <= ${count - keptForOthers}`;
}

interface Claim extends ClaimSize {
  /** SQL: key and `place` of the rows to claim, as of `teamsInTurn`. */
  places: Sql;
  /** SQL over such a row: a condition that leaves the places of the others as they are. */
  only?: Sql;
  /** SQL: assignments beside those of the lease. */
  set?: Sql;
  /** SQL: further columns of the answer. */
  returning?: Sql;
}

/** Leases free rows in the order of their places; skips those that another claim has locked. */
export async function claimWork<Key extends string, Row extends object = object>(
  on: Connection,
  kind: WorkKind<Key>,
  { places, count, leaseSeconds, only = raw('true'), set, returning }: Claim,
): Promise<(WorkLease<Key> & Row)[]> {
  const { state, token } = kind;
  const [key, table] = [keyOf(kind), raw(kind.table)];
  const columns = Object.entries<string>(kind.key);
  const assignments = [
    sql`lease_until = now() + make_interval(secs => ${leaseSeconds}), ${raw(token)} = ${randomUUID()}`,
    ...(state && state.leased !== state.waiting ? [sql`${raw(state.column)} = ${state.leased}`] : []),
    ...(kind.countsAttempts ? [raw('attempts = attempts + 1')] : []),
    ...(set ? [set] : []),
  ];
  const answer = [
    ...[...columns, ['token', token]].map(([member, column]) =>
      raw(`${kind.table}.${column} AS "${member}"`),
    ),
    ...(returning ? [returning] : []),
  ];
  return await run(
    on,
    sql`WITH places AS MATERIALIZED (${places}), taken AS (
        SELECT ${key} FROM ${table} JOIN places USING (${key}) WHERE ${isFree(kind, leaseSeconds)} AND ${only}
        ORDER BY place LIMIT ${count} FOR UPDATE OF ${table} SKIP LOCKED
      )
      UPDATE ${table} SET ${join(assignments)} WHERE (${key}) IN (SELECT ${key} FROM taken)
      RETURNING ${join(answer)}`,
  );
}

/**
 * As `claimWork`, but one claim of the kind at a time: two concurrent ones would both see a team as idle, which may have `perTeam` rows under
 * lease and not one more.
 */
export async function claimWorkAlone<Key extends string, Row extends object = object>(
  db: Database,
  kind: WorkKind<Key>,
  claim: Claim,
): Promise<(WorkLease<Key> & Row)[]> {
  return await inTransaction(db, async (tx) => {
    await lockName(tx, `graft:${kind.table}:claim`);
    return await claimWork<Key, Row>(tx, kind, claim);
  });
}

/** Fails rows whose processes were lost in `attempts` attempts or more: the work may be what ends them. */
export async function failLostWork(
  { sql: pool }: Pick<Database, 'sql'>,
  kind: WorkKind & Required<Pick<WorkKind, 'state' | 'ended'>>,
  { attempts, leaseSeconds, error }: { attempts: number; leaseSeconds: number; error: object },
): Promise<void> {
  const [key, table] = [keyOf(kind), raw(kind.table)];
  const set = endingOf(kind, { state: kind.state.failed, set: sql`error = ${JSON.stringify(error)}::jsonb` });
  await pool.query(sql`UPDATE ${table} SET ${set} WHERE (${key}) IN (SELECT ${key} FROM ${table}
    WHERE lease_until IS NOT NULL AND attempts >= ${attempts} AND ${isFree(kind, leaseSeconds)}
    FOR UPDATE SKIP LOCKED)`);
}

/** SQL over a row of the kind: this lease is held. */
export function holds<Key extends string>(kind: WorkKind<Key>, lease: WorkLease<NoInfer<Key>>): Sql {
  const conditions = Object.entries<string>({ ...kind.key, token: kind.token }).map(
    ([member, column]) => sql`${columnOf(kind, column)} = ${lease[member as Key]}`,
  );
  if (kind.state) {
    const { column, leased, also = [] } = kind.state;
    conditions.push(sql`${columnOf(kind, column)} IN (${join([leased, ...also])})`);
  }
  return join(conditions, ' AND ');
}

/** SQL: a write of the lease's holder. */
export function fencedUpdate<Key extends string>(
  kind: WorkKind<Key>,
  lease: WorkLease<NoInfer<Key>>,
  set: Sql,
  returning = raw('true AS held'),
): Sql {
  return sql`UPDATE ${raw(kind.table)} SET ${set} WHERE ${holds(kind, lease)} RETURNING ${returning}`;
}

/** Changes the row of a held lease. Null: fenced. */
export async function writeWork<Key extends string, Row extends object = object>(
  on: Connection,
  kind: WorkKind<Key>,
  lease: WorkLease<NoInfer<Key>>,
  set: Sql,
  returning?: Sql,
): Promise<Row | null> {
  return (await run<Row>(on, fencedUpdate(kind, lease, set, returning)))[0] ?? null;
}

/**
 * Postpones the end of a lease, with progress in `set`. False: fenced, or `needs`, a condition over the row, no longer holds. Times out
 * early enough that a retry on another connection is in time.
 */
export async function renewWork<Key extends string>(
  { sql: pool }: Pick<Database, 'sql'>,
  kind: WorkKind<Key>,
  lease: WorkLease<NoInfer<Key>>,
  { leaseSeconds, set, needs = raw('true') }: { leaseSeconds: number; set?: Sql; needs?: Sql },
): Promise<boolean> {
  const until = sql`lease_until = now() + make_interval(secs => ${leaseSeconds})`;
  const renewal = sql`UPDATE ${raw(kind.table)} SET ${set ? join([until, set]) : until}
    WHERE ${holds(kind, lease)} AND ${needs}`;
  return (await pool.query(statementWithin(renewalMs(leaseSeconds), renewal))).rowCount === 1;
}

interface Ending {
  /** State in which the work has ended. Absent: the row waits. */
  state?: string;
  /** SQL over the row before: it fails instead of waiting. */
  failsIf?: Sql;
  /** SQL: the time at which a waiting row is due. */
  due?: Sql;
  set?: Sql;
}

export function endingOf(kind: WorkKind, { state, failsIf, due, set }: Ending): Sql {
  const assignments = [raw(`lease_until = NULL, ${kind.token} = NULL`)];
  const either = (failed: Sql, waiting: Sql, ended: Sql) =>
    state !== undefined
      ? ended
      : failsIf
        ? sql`CASE WHEN ${failsIf} THEN ${failed} ELSE ${waiting} END`
        : waiting;
  if (kind.state) {
    const { column, failed, waiting, leased } = kind.state;
    const kept = waiting === leased ? raw(column) : sql`${waiting}`;
    assignments.push(sql`${raw(column)} = ${either(sql`${failed}`, kept, sql`${state}`)}`);
  }
  if (kind.ended !== undefined)
    assignments.push(sql`${raw(kind.ended)} = ${either(raw('now()'), raw('NULL'), raw('now()'))}`);
  if (due && kind.due !== undefined) assignments.push(sql`${raw(kind.due)} = ${due}`);
  return join(set ? [...assignments, set] : assignments);
}

/** Ends a lease. Null: fenced. */
export async function endWork<Key extends string, Row extends object = object>(
  on: Connection,
  kind: WorkKind<Key>,
  lease: WorkLease<NoInfer<Key>>,
  ending: Ending,
  returning?: Sql,
): Promise<Row | null> {
  return await writeWork<Key, Row>(on, kind, lease, endingOf(kind, ending), returning);
}

/** Ends the lease of a process that stops: the row is due at once, and the attempt does not count. */
export async function releaseWork<Key extends string>(
  on: Connection,
  kind: WorkKind<Key>,
  lease: WorkLease<NoInfer<Key>>,
  set?: Sql,
): Promise<void> {
  const assignments = [
    ...(kind.countsAttempts ? [raw('attempts = attempts - 1')] : []),
    ...(set ? [set] : []),
  ];
  const rest = assignments.length > 0 ? { set: join(assignments) } : {};
  await endWork(on, kind, lease, { due: raw('now()'), ...rest });
}

/**
 * SQL: the time of the next attempt after `failures`, an SQL count of those before this one. The delay is a random 0.75 to 1.25 of the scheduled
 * one, so that what failed together is not retried together, and at least `askedSeconds`, as a server's Retry-After asks.
 */
export function backOff(
  { firstSeconds, longestSeconds }: RetryTimes,
  failures: Sql,
  askedSeconds: number | null = 0,
): Sql {
  const asked = Math.min(askedSeconds ?? 0, longestSeconds);
  return sql`now() + make_interval(secs => greatest(${asked},
    least(${firstSeconds} * power(2, least(${failures}, 30)), ${longestSeconds}) * (0.75 + random() / 2)))`;
}
