import path from 'node:path';
import { GraftError, OWN_TEMPLATE } from '@graft/peft-core/config';

/** Error codes of broken or unknown files. Their messages help both team and operator. */
const fileFaultCodes = new Set([
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
/** Error codes of a Hub that denies access; its address and token concern only the operator. */
const hubFaultCodes = new Set(['base_model_not_found', 'base_model_access_denied']);

/**
 * Returns whether an error about a base model persists until the operator acts, so that retrying is useless. `param`: the request field that
 * caused it: a job's own chat template is not the model's.
 */
export function isLastingModelFault(code: string, param: string | null = null): boolean {
  return param !== OWN_TEMPLATE && (fileFaultCodes.has(code) || hubFaultCodes.has(code));
}

/**
 * Returns the error about a base model that a team may see. It is a system fault, since the operator chose the model, and names the model
 * and the file but no path. Only faults of the files include their reason; for any other error the reason is only in `cause`. `places`
 * are folders and files whose paths the message may contain.
 */
export function baseModelFault(error: unknown, id: string, places: readonly string[]): GraftError {
  const options = { fault: 'system', param: 'model', cause: error } as const;
  // Means a missing folder here; to a team the code `file_not_found` means an uploaded file.
  const known = error instanceof GraftError && error.code !== 'file_not_found';
  const code = known ? error.code : 'base_model_unavailable';
  if (!known || !fileFaultCodes.has(code)) {
    return new GraftError(code, `The base model ${id} cannot be opened by the server.`, options);
  }
  const reason = withoutPlaces(error.message, places);
  return new GraftError(
    code,
    `The base model ${id} cannot be used until the operator of this server repairs it: ${reason}`,
    options,
  );
}

/** Shortens paths: `/models/tiny/config.json` to `config.json`, and `/models/tiny` to `tiny`. */
function withoutPlaces(message: string, places: readonly string[]): string {
  // The longest first: one folder may contain another.
  return places
    .toSorted((a, b) => b.length - a.length)
    .reduce(
      (text, place) => text.replaceAll(place + path.sep, '').replaceAll(place, path.basename(place)),
      message,
    );
}
