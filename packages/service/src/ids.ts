import { randomBytes } from 'node:crypto';

/** Kinds of ids. OpenAI's objects keep OpenAI's prefixes and separators. */
export type IdKind =
  | 'job'
  | 'file'
  | 'upload'
  | 'part'
  | 'event'
  | 'checkpoint'
  | 'adapter'
  | 'version'
  | 'tag'
  | 'export'
  | 'publication'
  | 'team'
  | 'worker'
  | 'baseModel'
  | 'user'
  | 'identity'
  | 'integration'
  | 'deployTarget'
  | 'webhook'
  | 'webhookSecret'
  | 'price';

const prefixes: Record<IdKind, string> = {
  job: 'ftjob-',
  file: 'file-',
  upload: 'upload_',
  part: 'part_',
  event: 'ftevent-',
  checkpoint: 'ftckpt_',
  adapter: 'adpt-',
  version: 'adptver-',
  tag: 'adpttag-',
  export: 'exp-',
  publication: 'pub-',
  team: 'team-',
  worker: 'worker-',
  baseModel: 'base-',
  user: 'user-',
  identity: 'ident-',
  integration: 'intg-',
  deployTarget: 'dpt-',
  webhook: 'whep-',
  webhookSecret: 'whsk-',
  price: 'price-',
};

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Returns `length` base-62 characters from the system's random source, without modulo bias. */
export function randomText(length: number): string {
  let text = '';
  while (text.length < length) {
    for (const byte of randomBytes(length)) {
      // 248 = 4 × 62: larger bytes would favour the first letters.
      if (byte < 248 && text.length < length) text += alphabet[byte % 62];
    }
  }
  return text;
}

/** Returns a new id: the prefix of its kind and 24 random base-62 characters (142 bits), e.g. `ftjob-…`. */
export function newId(kind: IdKind): string {
  return prefixes[kind] + randomText(24);
}
