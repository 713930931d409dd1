import { type BaseModel, readSentencePooling, type SentencePooling } from '../files.ts';
import type { Architecture } from '../models/architecture.ts';

/** How one vector is made of a sequence: as the base model's sentence-transformers files say, or as its architecture does. */
export async function sequencePooling(base: BaseModel, architecture: Architecture): Promise<SentencePooling> {
  const own = architecture.task === 'FEATURE_EXTRACTION' ? await readSentencePooling(base.path) : null;
  return own ?? { pooling: architecture.pooling, normalise: false };
}
