import { GraftError } from '@graft/peft-core/config';
import { maxPageDays, maxUsageDays, type UsageGroup, type UsageKind, usageGroups } from '@graft/wire/lists';
import { type Database, databaseTime } from '../database/database.ts';
import { dayOf, daySeconds, priceOfOne } from './usage.ts';

/** Usage on one day. A dimension that is not grouped by is null. */
export interface DayUse {
  teamId: string | null;
  model: string | null;
  keyId: string | null;
  jobId: string | null;
  kind: UsageKind | null;
  trainedTokens: number;
  deviceSeconds: number;
  inputTokens: number;
  outputTokens: number;
  /** Number of completions. */
  requests: number;
  /** At the end of the day; for today, now. */
  storedBytes: number;
  /** Bytes times the days for which they were stored, divided by 2^30. */
  storedGibDays: number;
  /** By the prices at the time of use. */
  cost: number;
}

export interface UsageBucket {
  start: Date;
  end: Date;
  results: DayUse[];
}

export interface UsagePage {
  buckets: UsageBucket[];
  /** Start of the next page; null on the last page. */
  next: string | null;
}

export interface UsageQuery {
  start: Date;
  end: Date;
  groupBy: readonly UsageGroup[];
  /** When reading all teams: only this one. */
  onlyTeam?: string | undefined;
  /** Maximum number of days per page. */
  days: number;
  /** `next` of the previous page. */
  page?: string | undefined;
}

/** Maximum results per page: bounds the cost of a request. */
export const maxPageResults = 1000;

/**
 * Returns the usage of a team, or with null of every team: one bucket per UTC day that the range touches. A page has `days` buckets, or
 * fewer if they hold more than `maxPageResults` results; the rest of a day is then on the next page. Only `team` groups by team. For all
 * teams, models are base models, because the names of fine-tuned models belong to their teams. Throws GraftError `invalid_value`,
 * `invalid_cursor`.
 */
export async function readUsage(
  db: Pick<Database, 'sql'>,
  teamId: string | null,
  query: UsageQuery,
): Promise<UsagePage> {
  const groups = usageGroups.filter((group) => query.groupBy.includes(group));
  const { first, end } = rangeOf(query, await databaseTime(db));
  const cursor = query.page === undefined ? null : parsePage(query.page, groups.length);
  const from = cursor?.day ?? first;
  if (from < first || from > end) throw badPage();
  const until = new Date(Math.min(end.getTime(), from.getTime() + query.days * daySeconds * 1000));
  const rows =
    from < until
      ? await readRows(db.sql, teamId, {
          groups,
          from,
          until,
          after: cursor?.after,
          onlyTeam: query.onlyTeam,
        })
      : [];
  const shown = rows.slice(0, maxPageResults);
  const isCut = rows.length > shown.length;
  const last = shown.at(-1);
  const lastDay = isCut ? last!.day * 1000 : until.getTime() - 1;
  const buckets: UsageBucket[] = [];
  for (let at = from.getTime(); at <= lastDay; at += daySeconds * 1000) {
    const results = shown.filter(({ day }) => day * 1000 === at).map((row) => useOf(row, groups));
    buckets.push({ start: new Date(at), end: new Date(at + daySeconds * 1000), results });
  }
  const next = isCut
    ? encodePage(new Date(lastDay), last!.parts)
    : until < end
      ? encodePage(until, null)
      : null;
  return { buckets, next };
}

/** Returns the cost of a team's usage in a period, in the currency of the prices. */
export async function readCost(
  db: Pick<Database, 'sql'>,
  teamId: string,
  { start, end }: { start: Date; end: Date },
): Promise<number> {
  const { buckets } = await readUsage(db, teamId, { start, end, groupBy: [], days: maxPageDays });
  return buckets.flatMap(({ results }) => results).reduce((sum, { cost }) => sum + cost, 0);
}

function rangeOf({ start, end }: Pick<UsageQuery, 'start' | 'end'>, now: Date): { first: Date; end: Date } {
  const first = dayOf(start);
  if (end <= start)
    throw new GraftError('invalid_value', 'end_time lies before start_time.', { param: 'end_time' });
  if (end.getTime() - first.getTime() > maxUsageDays * daySeconds * 1000) {
    throw new GraftError(
      'invalid_value',
      `One query reads ${maxUsageDays} days at the most; ask for a shorter range.`,
      { param: 'start_time' },
    );
  }
  // There is no usage after today.
  const tomorrow = dayOf(new Date(now.getTime() + daySeconds * 1000));
  const last = new Date(dayOf(new Date(end.getTime() - 1)).getTime() + daySeconds * 1000);
  return { first, end: new Date(Math.max(first.getTime(), Math.min(last.getTime(), tomorrow.getTime()))) };
}

function encodePage(day: Date, after: string[] | null): string {
  return Buffer.from(JSON.stringify([day.getTime() / 1000, after])).toString('base64url');
}

function parsePage(text: string, parts: number): { day: Date; after: string[] | undefined } {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(text, 'base64url').toString());
  } catch {
    throw badPage();
  }
  const [day, after, ...more] = Array.isArray(value) ? value : [];
  const isDay = Number.isSafeInteger(day) && day % daySeconds === 0 && Math.abs(day) < 1e11;
  const isAfter =
    after === null ||
    (Array.isArray(after) &&
      after.length === parts &&
      after.every((part) => typeof part === 'string' && !part.includes('\0')));
  if (!isDay || !isAfter || more.length > 0) throw badPage();
  return { day: new Date(day * 1000), after: after ?? undefined };
}

function badPage(): GraftError {
  return new GraftError(
    'invalid_cursor',
    'page is not the next_page of a page before, of the same range and groups.',
    { param: 'page' },
  );
}

interface Row {
  /** Unix seconds. */
  day: number;
  /** One value per group, in the order of the groups; empty string: none. */
  parts: string[];
  use: number[];
}

/** The sums of a row, in the order of its columns. */
const sums = [
  'trainedTokens',
  'deviceSeconds',
  'inputTokens',
  'outputTokens',
  'requests',
  'storedBytes',
  'storedGibDays',
  'cost',
] as const;

function useOf({ parts, use }: Row, groups: readonly UsageGroup[]): DayUse {
  const part = (group: UsageGroup) => (groups.includes(group) ? parts[groups.indexOf(group)]! || null : null);
  const named = sums.map((sum, i) => [sum, use[i]!] as const);
  return {
    teamId: part('team'),
    model: part('model'),
    keyId: part('key'),
    jobId: part('job'),
    kind: part('kind') as UsageKind | null,
    ...(Object.fromEntries(named) as Record<(typeof sums)[number], number>),
  };
}

/** Reads one row more than a page has, to see whether there is another page. */
async function readRows(
  sql: Database['sql'],
  teamId: string | null,
  range: {
    groups: UsageGroup[];
    from: Date;
    until: Date;
    after: string[] | undefined;
    onlyTeam: string | undefined;
  },
): Promise<Row[]> {
  const { groups, from, until, after, onlyTeam } = range;
  const values: unknown[] = [from, until];
  const given = (value: unknown) => `$${values.push(value)}`;
  const only = teamId ?? onlyTeam;
  const whose = only === undefined ? 'true' : `entry.team_id = ${given(only)}`;
  const columns: Record<UsageGroup, string> = {
    team: 'entry.team_id',
    model: `coalesce(${teamId === null ? 'entry.base_model' : 'entry.model'}, '')`,
    key: `coalesce(entry.key_id, '')`,
    job: `coalesce(entry.job_id, '')`,
    kind: 'entry.kind',
  };
  // Lists of columns, each preceded by a comma.
  const list = (of: (group: UsageGroup) => string) => groups.map((group) => `, ${of(group)}`).join('');
  const named = list((group) => `${columns[group]} AS by_${group}`);
  const by = list((group) => `by_${group}`);
  const day = `date_trunc('day', entry.at AT TIME ZONE 'UTC')`;
  const beyond = after
    ? `WHERE (day${by}) > ((${given(from)}::timestamptz AT TIME ZONE 'UTC')${after.map((part) => `, ${given(part)}`).join('')})`
    : '';
  const priced = (kind: string, base: string, at: string) =>
    ['own', 'common']
      .map(
        (which) => `LEFT JOIN price ${which} ON ${which}.kind = ${kind}
          AND ${which}.model = ${which === 'own' ? base : "'*'"} AND ${at} >= ${which}.valid_from AND ${at} < ${which}.valid_to`,
      )
      .join(' ');
  const { rows } = await sql.query<Row>(
    `WITH price AS MATERIALIZED (
       SELECT kind, model, valid_from, ${priceOfOne} AS one,
         coalesce(lead(valid_from) OVER (PARTITION BY kind, model ORDER BY valid_from), 'infinity') AS valid_to
       FROM usage_prices
     ), flow AS (
       SELECT ${day} AS day${named}, entry.kind, sum(entry.quantity) AS quantity, count(*) AS entries,
         sum(entry.quantity * coalesce(own.one, common.one, 0)) AS cost
       FROM usage_ledger entry ${priced('entry.kind', 'entry.base_model', 'entry.at')}
       WHERE ${whose} AND entry.at >= $1 AND entry.at < $2 AND entry.kind <> 'stored_bytes'
       GROUP BY ${day}${by}, entry.kind
     ), opening AS (
       SELECT coalesce(entry.base_model, '') AS base${named}, sum(entry.quantity) AS quantity
       FROM usage_ledger entry WHERE ${whose} AND entry.at < $1 AND entry.kind = 'stored_bytes'
       GROUP BY base${by} HAVING sum(entry.quantity) <> 0
     ), change AS (
       SELECT ${day} AS day, coalesce(entry.base_model, '') AS base${named}, sum(entry.quantity) AS quantity,
         sum(entry.quantity * extract(epoch FROM
           least(${day} + interval '1 day', now() AT TIME ZONE 'UTC') - entry.at AT TIME ZONE 'UTC') / ${daySeconds}) AS byte_days
       FROM usage_ledger entry WHERE ${whose} AND entry.at >= $1 AND entry.at < $2 AND entry.kind = 'stored_bytes'
       GROUP BY ${day}, base${by}
     ), holder AS (
       SELECT base${by} FROM opening UNION SELECT base${by} FROM change
     ), level AS (
       SELECT day, base${by}, coalesce(change.quantity, 0) AS changed, coalesce(change.byte_days, 0) AS of_changes,
         coalesce(opening.quantity, 0) + coalesce(sum(change.quantity) OVER (PARTITION BY base${by} ORDER BY day), 0) AS held
       FROM generate_series($1::timestamptz AT TIME ZONE 'UTC', $2::timestamptz AT TIME ZONE 'UTC' - interval '1 second',
           interval '1 day') AS days (day)
         CROSS JOIN holder LEFT JOIN opening USING (base${by}) LEFT JOIN change USING (day, base${by})
     ), stored AS (
       SELECT level.*, (held - changed) * extract(epoch FROM
         greatest(least(day + interval '1 day', now() AT TIME ZONE 'UTC') - day, interval '0')) / ${daySeconds} + of_changes AS byte_days
       FROM level WHERE held <> 0 OR changed <> 0 OR of_changes <> 0
     ), used AS (
       SELECT day${by}${groups.includes('kind') ? '' : ', kind AS by_kind'}, quantity, entries, 0 AS held, 0 AS byte_days, cost FROM flow
       UNION ALL
       SELECT day${by}${groups.includes('kind') ? '' : ", 'stored_bytes'"}, 0, 0, held, byte_days, byte_days * coalesce(own.one, common.one, 0)
       FROM stored ${priced("'stored_bytes'", 'base', "day AT TIME ZONE 'UTC'")}
     )
     SELECT extract(epoch FROM day)::float8 AS day, ARRAY[${groups.map((group) => `by_${group}`).join(', ')}]::text[] AS parts, ARRAY[
       ${['trained_tokens', 'device_seconds', 'input_tokens', 'output_tokens'].map((kind) => `sum(quantity) FILTER (WHERE by_kind = '${kind}')`).join(', ')},
       sum(entries) FILTER (WHERE by_kind = 'output_tokens'), sum(held), sum(byte_days) / 1073741824, sum(cost)
     ]::float8[] AS use
     FROM used ${beyond} GROUP BY day${by} ORDER BY day${by} LIMIT ${maxPageResults + 1}`,
    values,
  );
  return rows.map((row) => ({ ...row, use: row.use.map((value) => value ?? 0) }));
}
