import path from 'node:path';
import { GraftError } from '@graft/peft-core/config';

/** Codes of files that are broken or of an unknown kind. Their messages help team and operator. */
const ofFiles = new Set([
  'invalid_model',
  'invalid_model_config',
  'invalid_safetensors',
  'invalid_gguf',
  'invalid_chat_template',
  'unsupported_model',
  'unsupported_dtype',
  'unsupported_tokenizer',
  'tensor_not_found',
]);
/** Codes of a Hub that refuses, whose address and token are the operator's business. */
const ofHub = new Set(['base_model_not_found', 'base_model_access_denied']);

/** Whether an error of this code about a base model stays until the operator acts: trying again mends nothing. */
export function isLastingModelFault(code: string): boolean {
  return ofFiles.has(code) || ofHub.has(code);
}

/**
 * What is wrong with a base model, as a team may see it. It is a fault of the system, since the operator chose the model,
 * and names model and file but not where they lie. Only a fault of the files is told with its reason; of any other the
 * reason is in `cause` alone. `places` are folders and files whose paths the message may hold.
 */
export function baseModelFault(error: unknown, id: string, places: readonly string[]): GraftError {
  const options = { fault: 'system', param: 'model', cause: error } as const;
  // A missing folder: the code means a team's file elsewhere.
  const known = error instanceof GraftError && error.code !== 'file_not_found';
  const code = known ? error.code : 'base_model_unavailable';
  if (!known || !ofFiles.has(code)) {
    return new GraftError(code, `The base model ${id} cannot be opened by the server.`, options);
  }
  const reason = withoutPlaces(error.message, places);
  return new GraftError(
    code,
    `The base model ${id} cannot be used until the operator of this server mends it: ${reason}`,
    options,
  );
}

/** `/models/tiny/config.json` as `config.json`, and `/models/tiny` alone as `tiny`. */
function withoutPlaces(message: string, places: readonly string[]): string {
  // The longest first: a folder may lie in another.
  return places
    .toSorted((a, b) => b.length - a.length)
    .reduce(
      (text, place) => text.replaceAll(place + path.sep, '').replaceAll(place, path.basename(place)),
      message,
    );
}
