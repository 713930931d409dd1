import path from 'node:path';
import { GraftError } from '../errors.ts';
import { show } from '../schema/check-fields.ts';
import type { OpenedModel } from './base-model.ts';
import { checkTokenizer } from './tokenizer-check/check-tokenizer.ts';

/** Maximum number of a model's tensors; the largest models have about ten thousand. */
const maxTensors = 50_000;
/** Maximum number of tokens that end an answer. */
const maxEndTokens = 64;

/** Checks the parts of a model's small files that its outline does not read. Throws GraftErrors that name the file and the field. */
export function checkSmallFiles(model: OpenedModel, onFile: (file: string) => void): void {
  // A GGUF file contains all of them.
  const file = (name: string) => (model.format === 'hf' ? path.join(model.path, name) : model.path);
  const count = model.tensors.names().length;
  if (count > maxTensors) throw invalid(`${model.path} has ${count} tensors; at most ${maxTensors} are read`);
  checkIds(file('config.json'), model.config);
  if (model.generationConfig) checkIds(file('generation_config.json'), model.generationConfig);
  onFile(file('tokenizer.json'));
  checkTokenizer(model.tokenizerFiles, {
    tokenizer: file('tokenizer.json'),
    config: file('tokenizer_config.json'),
    template: file('chat_template.jinja'),
  });
}

function checkIds(file: string, fields: Record<string, unknown>): void {
  for (const field of ['bos_token_id', 'eos_token_id', 'pad_token_id', 'decoder_start_token_id']) {
    const value = fields[field] ?? null;
    const ids = Array.isArray(value) ? value : [value];
    if (ids.length > maxEndTokens)
      throw invalid(`${file}: ${field} has ${ids.length} ids; at most ${maxEndTokens} are read`);
    // Files of early models use −1 for "no padding token".
    const least = field === 'pad_token_id' ? -1 : 0;
    const odd = ids.find((id) => id !== null && !(Number.isInteger(id) && id >= least && id < 2 ** 31));
    if (odd !== undefined)
      throw invalid(`${file}: ${field} is ${show(odd)}; ids are whole numbers from 0 to ${2 ** 31 - 1}`);
  }
}

function invalid(message: string): GraftError {
  return new GraftError('invalid_model', message, { param: 'model' });
}
