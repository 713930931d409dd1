/** Enforces a team's quota exactly, also for concurrent requests. */
import { GraftError, type PeftConfig } from '@graft/peft-core/config';
import type { Database, Transaction } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { tryLockName, waitForRow } from '../database/wait-for-row.ts';
import { allowsModel } from '../keys/model-limit.ts';
import { type QuotaUse, type StoredKind, type TeamQuota, useOf } from './team-quota.ts';

/** The request exceeds what the operator allows the team. The message contains the limit, the use, and how to free capacity. */
export class QuotaExceeded extends GraftError {
  /** When capacity becomes available: soon, at a time, or null if the team must delete something or request less. */
  readonly frees: 'soon' | Date | null;

  constructor(
    message: string,
    { frees, param = null }: { frees: QuotaExceeded['frees']; param?: string | null },
  ) {
    super('quota_exceeded', message, { param });
    this.frees = frees;
  }
}

/**
 * Runs `work` in a transaction. If `isLimited`, only one such transaction of the team runs at a time on all processes, so that counts stay
 * valid until it commits; teams without the limit have no overhead. If `isLimited` or with `row`, retries as `waitForRow` does, and throws
 * an error for which `isRowLocked` holds after two seconds of waiting.
 */
export async function inQuota<T>(
  db: Pick<Database, 'db'>,
  teamId: string,
  isLimited: boolean,
  work: (tx: Transaction) => Promise<T>,
  row?: string,
): Promise<T> {
  const attempt = async () =>
    inTransaction(db, async (tx) => {
      if (isLimited) await tryLockName(tx, `graft:quota:${teamId}`);
      return await work(tx);
    });
  const name = isLimited ? `quota ${teamId}` : row;
  return await (name === undefined ? attempt() : waitForRow(name, attempt));
}

export function limitsJobs(quota: TeamQuota | null): quota is TeamQuota {
  return (
    quota !== null && (quota.queuedJobs !== null || quota.adapters !== null || quota.tokensPerMonth !== null)
  );
}

/** Throws QuotaExceeded if the team may not create another job. Call in a transaction of `inQuota`. */
export async function checkJobCount(tx: Transaction, teamId: string, quota: TeamQuota): Promise<void> {
  const { queuedJobs: most, adapters, tokensPerMonth: tokens } = quota;
  const [use] = await tx.$queryRaw<QuotaUse[]>(
    useOf(teamId, {
      jobs: most !== null,
      counts: adapters !== null ? ['adapters'] : [],
      tokens: tokens !== null,
    }),
  );
  if (most !== null && use!.queuedJobs >= most) {
    throw new QuotaExceeded(
      `Quota of waiting jobs: this team has ${use!.queuedJobs} validating, queued or paused, and ${most} is the limit. There is room when one of them starts or ends.`,
      { frees: 'soon' },
    );
  }
  // The adapter of a job that ran is always kept: those of unfinished jobs may exceed the limit.
  if (adapters !== null && use!.adapters >= adapters) throw tooMany('adapters', use!.adapters, adapters);
  // Tokens planned by unfinished jobs do not count, because these jobs may fail.
  if (tokens !== null && use!.trainedTokens >= tokens) throw monthIsOver(use!, tokens);
}

/**
 * Throws QuotaExceeded if a validated job's tokens exceed the limit per job, or the rest of the month after all unfinished jobs have
 * trained theirs. Call in a transaction of `inQuota` if the month is limited.
 */
export async function admitTokens(
  tx: Transaction,
  teamId: string,
  quota: TeamQuota,
  tokens: number,
): Promise<void> {
  const { tokensPerJob: most, tokensPerMonth } = quota;
  if (most !== null && tokens > most) {
    throw new QuotaExceeded(
      `Quota of tokens of one job: epochs × tokens of the training data is ${tokens}, and ${most} is the limit of this team. Train fewer epochs, fewer steps or less data.`,
      { frees: null, param: 'training_file' },
    );
  }
  if (tokensPerMonth === null) return;
  const [use] = await tx.$queryRaw<QuotaUse[]>(useOf(teamId, { tokens: true }));
  if (use!.trainedTokens + use!.plannedTokens + tokens > tokensPerMonth)
    throw monthIsOver(use!, tokensPerMonth, tokens);
}

function monthIsOver(use: QuotaUse, most: number, wanted?: number): QuotaExceeded {
  const underWay = use.plannedTokens > 0 ? ` and jobs under way will train up to ${use.plannedTokens}` : '';
  const job = wanted === undefined ? '' : `, this job ${wanted}`;
  return new QuotaExceeded(
    `Quota of trained tokens a month: this team has trained ${use.trainedTokens}${underWay}${job}, and ${most} is the limit. The next month begins ${use.monthEnds.toISOString()}.`,
    { frees: use.monthEnds },
  );
}

/** Returns whether the quota limits what the team stores, or with `kind` how many of these it has. */
export function limitsStorage(quota: TeamQuota | null, kind?: StoredKind): quota is TeamQuota {
  return quota !== null && (quota.storedBytes !== null || (kind !== undefined && quota[kind] !== null));
}

/**
 * Throws QuotaExceeded if the team may not store `bytes` more, or with `kind` one more of these. Call in a transaction of `inQuota`, where
 * `limitsStorage` holds.
 */
export async function checkStorageQuota(
  tx: Pick<Transaction, '$queryRaw'>,
  teamId: string,
  quota: TeamQuota,
  { bytes, kind }: { bytes: number; kind?: StoredKind },
): Promise<void> {
  const { storedBytes: most } = quota;
  const count = kind === undefined ? null : quota[kind];
  const [use] = await tx.$queryRaw<QuotaUse[]>(
    useOf(teamId, { bytes: most !== null, counts: count === null ? [] : [kind!] }),
  );
  if (count !== null && use![kind!] >= count) throw tooMany(kind!, use![kind!], count);
  if (most === null || use!.storedBytes + bytes <= most) return;
  throw new QuotaExceeded(
    `Quota of stored bytes: files, uploads, adapters and exports of this team have ${use!.storedBytes}, ${bytes} more are expected, and ${most} is the limit. Delete some to free space.`,
    { frees: null },
  );
}

const counted: Record<StoredKind, string> = {
  files: 'files and pending uploads',
  adapters: 'adapter versions, deleted ones that can be restored among them',
  exports: 'exports that wait, are being written or are kept',
};

function tooMany(kind: StoredKind, used: number, most: number): QuotaExceeded {
  return new QuotaExceeded(
    `Quota of ${kind}: this team has ${used} ${counted[kind]}, and ${most} is the limit. Delete some to free space.`,
    { frees: null },
  );
}

/** Counts bytes that a request receives before they have a row. */
export interface IncomingBytes {
  /**
   * Counts further received bytes. For a file or an adapter it throws QuotaExceeded if there are too many; for a part it resolves to false
   * if the upload and its other incoming parts leave no space.
   */
  add(bytes: number): Promise<boolean>;
  /** Stops counting, in the transaction that inserts their row. */
  settle(tx: Transaction): Promise<void>;
  /** Stops counting, because the bytes are discarded or have a row. */
  end(): Promise<void>;
}

/** Properties of a job that a quota may limit before its files are read. */
interface QuotaJob {
  model: string;
  peft: PeftConfig;
  /** Null while unknown. */
  maxSeqLength: number | null;
}

/** Checks a job against the quota. Throws GraftError `model_not_permitted`, `method_not_permitted`, QuotaExceeded. */
export function checkJobQuota(quota: TeamQuota | null, { model, peft, maxSeqLength }: QuotaJob): void {
  if (!quota) return;
  const { models, methods, maxRank } = quota;
  if (!allowsModel(models, model)) {
    throw new GraftError(
      'model_not_permitted',
      `The operator lets this team train ${models?.join(', ') || 'no model'}, and '${model}' is none of them.`,
      { param: 'model' },
    );
  }
  const { peft_type: method } = peft;
  if (methods && !methods.includes(method)) {
    throw new GraftError(
      'method_not_permitted',
      `The operator lets this team use ${methods.join(', ') || 'no method'}, and ${method} is none of them.`,
      { param: 'peft.peft_type' },
    );
  }
  const rank = rankOf(peft);
  if (maxRank !== null && rank > maxRank) {
    throw new QuotaExceeded(
      `Quota of ranks: the job asks for ${rank}, and ${maxRank} is the limit of this team.`,
      { frees: null, param: 'peft.r' },
    );
  }
  if (quota.maxSeqLength !== null && maxSeqLength !== null && maxSeqLength > quota.maxSeqLength) {
    throw new QuotaExceeded(
      `Quota of sequence length: the job has ${maxSeqLength}, and ${quota.maxSeqLength} is the limit of this team; set training.max_seq_length.`,
      { frees: null, param: 'training.max_seq_length' },
    );
  }
}

/** Returns the largest rank in a config; 0 for methods without a rank. */
function rankOf(peft: PeftConfig): number {
  const { r = 0, rank_pattern: pattern } = peft as {
    r?: number;
    rank_pattern?: Record<string, number> | null;
  };
  return Math.max(r, ...Object.values(pattern ?? {}));
}
