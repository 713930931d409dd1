import { GraftError } from '../../errors.ts';
import { show } from '../../schema/check-fields.ts';
import type { TokenizerFiles } from '../../text/tokenizer.ts';
import { whyNotLinear } from './linear-pattern.ts';

/** Maximum token id: ids are indices of tables. The largest vocabularies have a million tokens. */
const maxTokenId = 1 << 22;
/** Maximum number of tokens outside the vocabulary; a vocabulary of 262,000 tokens has 6,400. */
const maxAddedTokens = 65_536;
/** In UTF-16 units. */
const longestToken = 4_096;
/** Maximum length of a chat template, in its own file or in the configuration; templates in practice have about 20,000 characters. */
export const longestTemplate = 1 << 20;
/** Maximum factor by which all steps of a normalizer together may lengthen a text. */
const maxGrowth = 64;
/** Maximum number of tokens around a text, and of steps of a normalizer or pre-tokenizer. */
const maxSteps = 256;
/** Maximum length of a word in WordPiece, whose cost is quadratic in the length; models in practice have 100. */
const longestWord = 1_000;

type Json = Record<string, unknown>;

/**
 * Checks tokenizer files as untrusted input: ids, tokens, patterns, and steps that lengthen texts. `where` has the name of each file.
 * Throws GraftError `unsupported_tokenizer` or `invalid_chat_template`, which names file and field.
 */
export function checkTokenizer(
  { tokenizerJson, tokenizerConfig, chatTemplate }: TokenizerFiles,
  where: { tokenizer: string; config: string; template: string },
): void {
  const fail = (what: string) =>
    new GraftError('unsupported_tokenizer', `${where.tokenizer}: ${what}`, { param: 'model' });
  checkModel(tokenizerJson.model, fail);
  checkAdded(tokenizerJson.added_tokens ?? [], fail);
  const steps = new StepChecker(fail);
  for (const part of ['normalizer', 'pre_tokenizer', 'post_processor', 'decoder'])
    steps.check(part, tokenizerJson[part] ?? null);
  if (chatTemplate !== null && chatTemplate.length > longestTemplate)
    throw template(where.template, chatTemplate.length);
  const other = tokenizerConfig?.chat_template;
  if (typeof other === 'string' && other.length > longestTemplate) throw template(where.config, other.length);
}

function template(file: string, length: number): GraftError {
  const message = `${file}: the chat template has ${length} characters; at most ${longestTemplate} are read`;
  return new GraftError('invalid_chat_template', message, { param: 'model' });
}

type Fail = (what: string) => GraftError;

function checkModel(model: unknown, fail: Fail): void {
  if (!isObject(model)) throw fail('model is not an object');
  const { vocab, merges, max_input_chars_per_word: word } = model;
  if (Array.isArray(vocab)) checkPieces(vocab, fail);
  else if (isObject(vocab)) checkVocabulary(vocab, fail);
  else throw fail('model.vocab is neither an object nor a list');
  if (merges !== undefined && merges !== null) checkMerges(merges, fail);
  if (
    word !== undefined &&
    !(Number.isInteger(word) && (word as number) >= 0 && (word as number) <= longestWord)
  )
    throw fail(`model.max_input_chars_per_word is ${show(word)}; it may be a whole number to ${longestWord}`);
  for (const field of [
    'continuing_subword_prefix',
    'continuing_subword_suffix',
    'end_of_word_suffix',
    'unk_token',
  ])
    checkText(model[field], `model.${field}`, fail);
}

function checkVocabulary(vocab: Json, fail: Fail): void {
  for (const token of Object.keys(vocab)) {
    if (token.length > longestToken)
      throw fail(`model.vocab has a token of ${token.length} characters; ${longestToken} is the most`);
    checkId(vocab[token], () => `model.vocab[${show(token)}]`, fail);
  }
}

/** Checks a Unigram vocabulary: entries `[token, score]`, whose index is the id. */
function checkPieces(vocab: readonly unknown[], fail: Fail): void {
  if (vocab.length > maxTokenId)
    throw fail(`model.vocab has ${vocab.length} tokens; ${maxTokenId} is the most`);
  for (const [i, piece] of vocab.entries()) {
    const [token, score] = Array.isArray(piece) ? piece : [];
    if (typeof token !== 'string' || token.length > longestToken || !Number.isFinite(score))
      throw fail(`model.vocab[${i}] is not a token and its score`);
  }
}

function checkMerges(merges: unknown, fail: Fail): void {
  if (!Array.isArray(merges) || merges.length > maxTokenId)
    throw fail(`model.merges is not a list of at most ${maxTokenId} pairs`);
  for (const [i, merge] of merges.entries()) {
    const isPair =
      Array.isArray(merge) && merge.length === 2 && merge.every((each) => typeof each === 'string');
    if (!isPair && typeof merge !== 'string') throw fail(`model.merges[${i}] is not a pair of tokens`);
  }
}

function checkAdded(added: unknown, fail: Fail): void {
  if (!Array.isArray(added) || added.length > maxAddedTokens)
    throw fail(`added_tokens is not a list of at most ${maxAddedTokens} tokens`);
  for (const [i, token] of added.entries()) {
    const name = `added_tokens[${i}]`;
    if (!isObject(token) || typeof token.content !== 'string') throw fail(`${name} has no content`);
    checkText(token.content, `${name}.content`, fail);
    checkId(token.id, () => `${name}.id`, fail);
  }
}

function checkId(id: unknown, name: () => string, fail: Fail): void {
  if (Number.isInteger(id) && (id as number) >= 0 && (id as number) < maxTokenId) return;
  throw fail(`${name()} is ${show(id)}; ids are whole numbers from 0 to ${maxTokenId - 1}`);
}

function checkText(value: unknown, name: string, fail: Fail): void {
  if (value === undefined || value === null) return;
  if (typeof value !== 'string') throw fail(`${name} is not a text`);
  if (value.length > longestToken)
    throw fail(`${name} has ${value.length} characters; ${longestToken} is the most`);
}

/** Walks through normalizer, pre-tokenizer, post-processor and decoder; each is a tree of steps. */
class StepChecker {
  readonly #fail: Fail;
  #steps = 0;
  #growth = 1;

  constructor(fail: Fail) {
    this.#fail = fail;
  }

  check(name: string, value: unknown): void {
    if (typeof value === 'string') {
      // A normalizer's character map is one long string. It lengthens a text no more than Unicode's normalisation forms do.
      if (value.length > longestToken && !name.endsWith('.precompiled_charsmap'))
        throw this.#fail(`${name} has ${value.length} characters; ${longestToken} is the most`);
      return;
    }
    if (typeof value === 'number') {
      if (!Number.isFinite(value) || Math.abs(value) > maxTokenId) throw this.#fail(`${name} is ${value}`);
      return;
    }
    if (typeof value !== 'object' || value === null) return;
    if (++this.#steps > maxSteps * 16) throw this.#fail(`${name}: there are too many steps`);
    if (Array.isArray(value) && value.length > maxSteps)
      throw this.#fail(`${name} has ${value.length} entries; ${maxSteps} is the most`);
    if (isObject(value)) this.#checkStep(name, value);
    for (const [key, inner] of Object.entries(value))
      this.check(Array.isArray(value) ? `${name}[${key}]` : `${name}.${key.slice(0, 64)}`, inner);
  }

  #checkStep(name: string, step: Json): void {
    const { Regex: pattern, id, ids, type, content, prepend } = step;
    if (pattern !== undefined) {
      const reason = typeof pattern === 'string' ? whyNotLinear(pattern) : 'is not a text';
      if (reason !== null)
        throw this.#fail(
          `${name}.Regex, ${show(pattern)}, may take time without end on some texts: it ${reason}`,
        );
    }
    if (typeof id === 'number') checkId(id, () => `${name}.id`, this.#fail);
    if (Array.isArray(ids))
      for (const [i, each] of ids.entries()) checkId(each, () => `${name}.ids[${i}]`, this.#fail);
    for (const field of ['replacement', 'str_rep']) {
      const text = step[field];
      if (text !== undefined && (typeof text !== 'string' || text.length === 0 || text.length > 8))
        throw this.#fail(`${name}.${field} is ${show(text)}; it has 1 to 8 characters`);
    }
    if (type === 'FixedLength' && !(Number.isInteger(step.length) && (step.length as number) > 0))
      throw this.#fail(`${name}.length is ${show(step.length)}; it is a whole number from 1`);
    for (const field of ['single', 'pair']) {
      const parts = step[field];
      if (Array.isArray(parts) && parts.filter((part) => isObject(part) && 'Sequence' in part).length > 2)
        throw this.#fail(`${name}.${field} repeats a text`);
    }
    const longer =
      type === 'Replace' && typeof content === 'string'
        ? content.length / Math.max(1, patternLength(step.pattern))
        : typeof prepend === 'string'
          ? 1 + prepend.length / 64
          : 1;
    this.#growth *= Math.max(1, longer);
    if (this.#growth > maxGrowth)
      throw this.#fail(
        `${name} makes texts more than ${maxGrowth} times as long, together with the steps before it`,
      );
  }
}

function patternLength(pattern: unknown): number {
  return isObject(pattern) && typeof pattern.String === 'string' ? pattern.String.length : 1;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
