import fp from 'fastify-plugin';
import { ApiError } from '../api-error.ts';
import { shortened } from './validation-faults.ts';

/**
 * Refuses, for all routes, values that JSON or a URL can express but the service cannot store: U+0000 and lone surrogates, which Postgres
 * does not accept, and numbers beyond a double's range, which JSON.parse reads as infinity.
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
 * Finds the first error in a parsed value. The limits on bodies bound depth and number of values. Paths are built only on the way back
 * from an error, since a body may contain tens of thousands of values.
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
  // With the flag u only lone surrogates match, not pairs.
  if (/\p{Surrogate}/u.test(text)) return { path: '', message: 'holds a lone surrogate' };
  return null;
}
