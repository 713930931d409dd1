import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type ResolvedTraining, validationCount } from '../config.ts';
import { GraftError } from '../errors.ts';
import { permutation } from '../rng.ts';
import { parseJsonl, type TokenizedExample, type Tokenizer, tokenizeExamples } from '../text/index.ts';

/** Tokenised training and validation examples of a job, and a digest of the files they came from. */
export interface TrainingData {
  training: TokenizedExample[];
  validation: TokenizedExample[];
  digest: string;
}

/** Reads, checks and tokenises a job's files. Throws the dataset's own GraftErrors, every bad line at once. */
export async function readTrainingData(
  tokenizer: Tokenizer,
  trainingFile: string,
  validationFile: string | null,
  training: ResolvedTraining,
): Promise<TrainingData> {
  const hash = createHash('sha256');
  const read = async (file: string, param: string) => {
    const bytes = await readFile(file);
    hash.update(bytes);
    try {
      return tokenizeExamples(tokenizer, parseJsonl(bytes).examples, {
        maxSeqLength: training.max_seq_length,
      });
    } catch (error) {
      if (!(error instanceof GraftError)) throw error;
      const { code, message, fault, details } = error;
      throw new GraftError(code, message, { param, fault, cause: error, ...(details ? { details } : {}) });
    }
  };
  const examples = await read(trainingFile, 'training_file');
  if (validationFile) {
    const validation = await read(validationFile, 'validation_file');
    return { training: examples, validation, digest: hash.digest('hex') };
  }
  const held = validationCount(examples.length, training.validation_split);
  const heldOut = new Set([...permutation(examples.length, training.seed, SPLIT_EPOCH)].slice(0, held));
  return {
    training: examples.filter((_, i) => !heldOut.has(i)),
    validation: examples.filter((_, i) => heldOut.has(i)),
    digest: hash.digest('hex'),
  };
}

/** No training epoch has this number, so the split's permutation is none of theirs. */
const SPLIT_EPOCH = 0x7fffffff;
