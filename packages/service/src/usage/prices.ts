import { GraftError } from '@graft/peft-core/config';
import type { UsageKind } from '@graft/wire/lists';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import { type Database, databaseTime } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { listRows, type Page, type PageOptions } from '../database/read-page.ts';
import type { UsagePrice as PriceRow } from '../generated/client.ts';
import { newId } from '../ids.ts';
import { dayOf, priceUnits } from './usage.ts';

export interface UsagePrice {
  id: string;
  kind: UsageKind;
  /** Catalogue id of a base model, or `*`: all models without a separate price. */
  model: string;
  /** Price per unit (`priceUnits`), in the operator's currency. */
  price: number;
  validFrom: Date;
  createdAt: Date;
}

export interface NewPrice {
  kind: UsageKind;
  /** Default: all models. */
  model?: string | undefined;
  price: number;
  /** Default: now; for stored bytes, the start of today. */
  validFrom?: Date | undefined;
}

const priceOf = ({ price, kind, ...columns }: PriceRow): UsagePrice => ({
  ...columns,
  kind: kind as UsageKind,
  price: Number(price),
});

/** Maximum number of prices, enough for a year of daily changes. Every sum reads all of them. */
export const maxPrices = 1000;

/**
 * Sets the price of a unit from a time on, until the next price of the same kind and model; replaces a price of the same time. Earlier
 * usage keeps its price. Throws GraftError `invalid_price`.
 */
export async function setPrice(db: Database, input: NewPrice, by: Actor | null): Promise<UsagePrice> {
  const { kind, model = '*', price } = input;
  const now = await databaseTime(db);
  const validFrom = input.validFrom ?? (kind === 'stored_bytes' ? dayOf(now) : now);
  if (!Number.isFinite(price) || price < 0 || price >= 1e9) {
    throw new GraftError('invalid_price', 'A price is at least 0 and below 1,000,000,000.', {
      param: 'price',
    });
  }
  if (kind === 'stored_bytes' && validFrom.getTime() !== dayOf(validFrom).getTime()) {
    throw new GraftError(
      'invalid_price',
      'Storage is priced by the day: such a price begins at midnight, in UTC.',
      { param: 'valid_from' },
    );
  }
  return await inTransaction(db, async (tx) => {
    const of = { kind, model, validFrom };
    const { count } = await tx.usagePrice.updateMany({ where: of, data: { price } });
    if (count === 0) {
      if ((await tx.usagePrice.count()) >= maxPrices) {
        throw new GraftError(
          'invalid_price',
          `There are ${maxPrices} prices, which is the limit: remove old ones.`,
          { param: null },
        );
      }
      await tx.usagePrice.create({ data: { id: newId('price'), ...of, price } });
    }
    const row = await tx.usagePrice.findFirstOrThrow({ where: of });
    const detail = { kind, model, price, valid_from: validFrom.toISOString(), unit: priceUnits[kind] };
    await insertAudit(tx, null, by, { action: 'price.set', target: row.id, detail });
    return priceOf(row);
  });
}

/** Lists prices, newest first. Throws GraftError `invalid_cursor`. */
export async function listPrices({ db }: Database, options: PageOptions): Promise<Page<UsagePrice>> {
  return await listRows(db.usagePrice, options, {}, priceOf);
}

/** Removes a price; the previous price then applies to its period. False if there is no such price. */
export async function removePrice(db: Database, id: string, by: Actor | null): Promise<boolean> {
  return await inTransaction(db, async (tx) => {
    const row = await tx.usagePrice.findFirst({ where: { id } });
    const { count } = await tx.usagePrice.deleteMany({ where: { id } });
    if (!row || count === 0) return false;
    const { kind, model, price, validFrom } = priceOf(row);
    const detail = { kind, model, price, valid_from: validFrom.toISOString() };
    await insertAudit(tx, null, by, { action: 'price.remove', target: id, detail });
    return true;
  });
}
