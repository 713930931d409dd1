import type { ModelOutline, ModuleDescription } from '../outlines/outline.ts';
import { optionError } from '../schema/check-fields.ts';

/** Rows of one table that are trained, by token id. */
export interface TokenTarget {
  module: string;
  ids: number[];
  /** Modules tied to the table, which get the same rows. */
  followers: string[];
}

/** The module whose weight is the input embedding: PEFT's get_input_embeddings. */
export function inputEmbedding({ aliases, tokenEmbedding }: ModelOutline): string {
  const weight = `${tokenEmbedding}.weight`;
  return (aliases[weight] ?? weight).slice(0, -'.weight'.length);
}

/**
 * The other modules that get the input embedding's rows: a tied head, and both embeddings of an encoder-decoder. Also
 * modules with a separate weight that are tied by their class: PEFT replaces their rows by those of the embedding
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
 * Resolves tables and rows by module name, with the modules tied to them, as PEFT ties token adapters to the input embedding.
 * Throws `invalid_peft_config`, which names `option`, for modules that are not a table of tokens and for ids out of range.
 */
export function tokenTargets(
  wanted: { module: string; ids: number[] }[],
  model: ModelOutline,
  option: string,
): TokenTarget[] {
  const embedding = inputEmbedding(model);
  const tied = tiedModules(model);
  for (const { module, ids } of wanted) checkRows(module, ids, model, option);
  const embeddingRows = wanted.find(({ module }) => module === embedding);
  const tiedRows = wanted.filter(({ module }) => tied.includes(module));
  // A tied module that is listed with other rows is separated from the embedding, and so are all tied modules.
  const apart = tiedRows.some(({ ids }) => ids.join() !== embeddingRows?.ids.join());
  return wanted
    .filter(({ module }) => apart || !embeddingRows || !tied.includes(module))
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

/** Checks whether a module is an embedding, or the vocabulary's head, whose weight also has a row for each token. */
function isTable(
  { kind, name, out }: ModuleDescription,
  { parameters, vocabularySize }: ModelOutline,
): boolean {
  if (kind === 'embedding') return true;
  const biased = parameters.some((parameter) => parameter.name === `${name}.bias`);
  return kind === 'linear' && out === vocabularySize && !biased;
}
