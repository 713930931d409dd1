import fp from 'fastify-plugin';
import { ApiError } from '../api-error.ts';
import { shortened } from './validation-faults.ts';

/**
 * Refuses, once for all routes, values that JSON or a URL can spell and nothing behind the edge can hold: U+0000 and lone
 * surrogates, which Postgres has no place for, and numbers beyond a double's range, which JSON.parse reads as infinity.
 */
export const wireValues = fp(async (app) => {
  app.addHook('preValidation', async (request) => {
    for (const part of [request.params, request.query, request.body]) {
      const fault = findFault(part);
      if (!fault) continue;
      const param = shortened(fault.path.replace(/^\./, '') || 'body');
      throw new ApiError('invalid_value', `Invalid '${param}': ${fault.message}.`, { param });
    }
  });
});

interface WireFault {
  path: string;
  message: string;
}

/**
 * The first fault in a parsed value; the body's limits bound depth and number of values. Paths are put together on the way
 * back from a fault alone: a body may hold ten thousands of values.
 */
function findFault(value: unknown): WireFault | null {
  if (typeof value === 'string') return textFault(value);
  if (typeof value === 'number')
    return Number.isFinite(value) ? null : { path: '', message: 'is a number out of range' };
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return null;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const fault = findFault(value[i]);
      if (fault) return { ...fault, path: `[${i}]${fault.path}` };
    }
    return null;
  }
  for (const [key, part] of Object.entries(value)) {
    const inKey = textFault(key);
    if (inKey) return inKey;
    const fault = findFault(part);
    if (fault) return { ...fault, path: `.${key}${fault.path}` };
  }
  return null;
}

function textFault(text: string): WireFault | null {
  if (text.includes('\0')) return { path: '', message: 'holds U+0000' };
  // With the flag u, halves of pairs are found and pairs are not.
  if (/\p{Surrogate}/u.test(text)) return { path: '', message: 'holds a lone surrogate' };
  return null;
}
