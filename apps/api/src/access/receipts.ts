import { allowsScope } from '@graft/service/keys';
import { ReceiptSchema } from '@graft/wire/schema';
import fp from 'fastify-plugin';
import type { Access } from './access.ts';

const shown = Object.keys(ReceiptSchema.properties);

/** Status of a receipt: the request succeeded just as it would for a key that may read. */
export const receiptStatus = 202;

/** The scope that guards the response of a route, or null if none does. */
export function guardOfAnswer(access: Access | undefined) {
  if (typeof access !== 'object' || !('answer' in access) || access.answer === 'own') return null;
  return access.answer;
}

/** Reduces the response to a key that may write an object but not read it to what the key changed. */
export const receipts = fp(async (app) => {
  app.addHook('preSerialization', async (request, reply, payload) => {
    const guard = guardOfAnswer(request.routeOptions.config.access);
    if (guard === null || reply.statusCode >= 300 || allowsScope(request.caller.scopes, guard))
      return payload;
    reply.code(receiptStatus);
    return Object.fromEntries(Object.entries(payload as object).filter(([name]) => shown.includes(name)));
  });
});
