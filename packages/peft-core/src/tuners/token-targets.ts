import type { ModelOutline, ModuleDescription } from '../outlines/outline.ts';
import { optionError } from '../schema/check-fields.ts';

/** Rows of one table that are trained, by token id. */
export interface TokenTarget {
  module: string;
  ids: number[];
  /** Modules that are tied to the table and get the same rows. */
  followers: string[];
}

/** The module whose weight the input embedding is: PEFT's get_input_embeddings. */
export function inputEmbedding({ aliases, tokenEmbedding }: ModelOutline): string {
  const weight = `${tokenEmbedding}.weight`;
  return (aliases[weight] ?? weight).slice(0, -'.weight'.length);
}

/**
 * The other modules that get the input embedding's rows: a tied head, the embeddings of an encoder-decoder's two halves. Also
 * modules with a weight of their own that are tied by their class: PEFT replaces their rows by those of the embedding
 * (peft/utils/other.py, _get_module_names_tied_with_embedding).
 */
export function tiedModules(model: ModelOutline): string[] {
  const embedding = inputEmbedding(model);
  const tied = Object.entries(model.aliases)
    .filter(([, of]) => of === `${embedding}.weight`)
    .map(([name]) => name.slice(0, -'.weight'.length));
  return [...new Set([...tied, ...(model.tiedByClass ?? [])])].filter((name) => name !== embedding);
}

/**
 * Tables and rows by module name, with what is tied to them, as PEFT ties token adapters to the input embedding.
 * Throws `invalid_peft_config` naming `option` for modules that are no table of tokens and for ids outside of it.
 */
export function tokenTargets(
  wanted: { module: string; ids: number[] }[],
  model: ModelOutline,
  option: string,
): TokenTarget[] {
  const embedding = inputEmbedding(model);
  const tied = tiedModules(model);
  for (const { module, ids } of wanted) checkRows(module, ids, model, option);
  const ofEmbedding = wanted.find(({ module }) => module === embedding);
  const ofTied = wanted.filter(({ module }) => tied.includes(module));
  // A tied module that is named with rows of its own comes apart from the embedding, and so do all.
  const apart = ofTied.some(({ ids }) => ids.join() !== ofEmbedding?.ids.join());
  return wanted
    .filter(({ module }) => apart || !ofEmbedding || !tied.includes(module))
    .map(({ module, ids }) => ({ module, ids, followers: module === embedding && !apart ? tied : [] }));
}

function checkRows(name: string, ids: number[], model: ModelOutline, option: string): void {
  const module = model.modules.find((each) => each.name === name)!;
  if (!isTable(module, model))
    throw optionError(option, `${name} is no embedding; rows of tokens are trained of those`);
  const rows = module.out!;
  const stray = ids.find((id) => id >= rows);
  if (stray !== undefined)
    throw optionError(
      option,
      `there is no token ${stray}: ${name} has ${rows} rows, with ids 0 to ${rows - 1}`,
    );
}

/** An embedding, or the vocabulary's head, whose weight has a row for each token too. */
function isTable(
  { kind, name, out }: ModuleDescription,
  { parameters, vocabularySize }: ModelOutline,
): boolean {
  if (kind === 'embedding') return true;
  const biased = parameters.some((parameter) => parameter.name === `${name}.bias`);
  return kind === 'linear' && out === vocabularySize && !biased;
}
