/** Building blocks of hostile uploads. */
import { type AdapterParts, type PartTensor, safetensorsOf, type UploadFile } from './adapter-parts.ts';

/** An upload that must be rejected, and what the message or the parameter of the error must name. */
export interface HostileAdapter {
  what: string;
  files: UploadFile[];
  names: RegExp;
}

const config = 'adapter_config.json';
const weights = 'adapter_model.safetensors';
const configError = /adapter_config\.json|peft/;
const weightsError = /adapter_model\.safetensors/;

export const bytesOf = (...parts: (string | number[] | Uint8Array)[]): Uint8Array<ArrayBuffer> =>
  new Uint8Array(Buffer.concat(parts.map((part) => Buffer.from(part as string))));

export function withWeights(
  what: string,
  sound: AdapterParts,
  file: Uint8Array<ArrayBuffer>,
  names = weightsError,
): HostileAdapter {
  return {
    what,
    files: [
      [config, JSON.stringify(sound.config)],
      [weights, file],
    ],
    names,
  };
}

export function withTensors(
  what: string,
  sound: AdapterParts,
  tensors: Map<string, PartTensor>,
  names = weightsError,
): HostileAdapter {
  return withWeights(what, sound, safetensorsOf(tensors), names);
}

export function withConfig(
  what: string,
  sound: AdapterParts,
  text: string | Uint8Array<ArrayBuffer>,
  names = configError,
): HostileAdapter {
  return {
    what,
    files: [
      [config, text],
      [weights, safetensorsOf(sound.tensors)],
    ],
    names,
  };
}

/** First bytes of files in other formats. */
export const magics: Record<string, number[]> = {
  zip: [0x50, 0x4b, 3, 4],
  'empty zip': [0x50, 0x4b, 5, 6],
  gzip: [0x1f, 0x8b, 8, 0],
  'pickle 2': [0x80, 2, 0x7d],
  'pickle 3': [0x80, 3, 0x7d],
  'pickle 4': [0x80, 4, 0x95],
  'pickle 5': [0x80, 5, 0x95],
  gguf: [0x47, 0x47, 0x55, 0x46],
  hdf5: [0x89, 0x48, 0x44, 0x46],
  npy: [0x93, 0x4e, 0x55, 0x4d],
  elf: [0x7f, 0x45, 0x4c, 0x46],
  png: [0x89, 0x50, 0x4e, 0x47],
  html: [...Buffer.from('<!doctype html>')],
  'a pickle of protocol 0': [...Buffer.from("cos\nsystem\n(S'id'\ntR.")],
};

/** Returns a generator of numbers in [0, 1), the same for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
