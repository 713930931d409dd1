import { readPieces, type TakePiece, type TensorInfo, type TensorSource } from './tensor-source.ts';

/** How transformers 4 named the text part of multimodal models, and how transformers 5 does. Source: conversion_mapping.py. */
const renamed: readonly (readonly [before: string, after: string])[] = [
  ['language_model.model.', 'model.language_model.'],
  ['language_model.lm_head.', 'lm_head.'],
];

/** The tensors of a checkpoint under today's names; the same source if it has none of the earlier names. */
export const withTextPartNames = (tensors: TensorSource): TensorSource =>
  renamedTensors(tensors, (name) => {
    const found = renamed.find(([before]) => name.startsWith(before));
    return found ? found[1] + name.slice(found[0].length) : name;
  });

/** The same for a family's `formerTensors`: the ends of names, and how checkpoints end them. */
export function withTodaysNames(
  tensors: TensorSource,
  formerTensors: Readonly<Record<string, string>>,
): TensorSource {
  const ends = Object.entries(formerTensors).map(([end, former]) => [former, end] as const);
  return renamedTensors(tensors, (name) => withOtherEnd(name, ends));
}

/** The name in checkpoints of the weight `name` of a family with these `formerTensors`. */
export const checkpointName = (name: string, formerTensors: Readonly<Record<string, string>>): string =>
  withOtherEnd(name, Object.entries(formerTensors));

function withOtherEnd(name: string, ends: readonly (readonly [own: string, other: string])[]): string {
  const found = ends.find(([own]) => name.endsWith(`.${own}`));
  return found ? name.slice(0, -found[0].length) + found[1] : name;
}

function renamedTensors(tensors: TensorSource, todaysName: (name: string) => string): TensorSource {
  const names = tensors.names();
  const stored = new Map(names.map((name) => [todaysName(name), name]));
  return names.some((name) => todaysName(name) !== name) ? new RenamedTensors(tensors, stored) : tensors;
}

class RenamedTensors implements TensorSource {
  readonly #tensors: TensorSource;
  readonly #stored: ReadonlyMap<string, string>;

  constructor(tensors: TensorSource, stored: ReadonlyMap<string, string>) {
    this.#tensors = tensors;
    this.#stored = stored;
  }

  names(): string[] {
    return [...this.#stored.keys()];
  }

  has(name: string): boolean {
    return this.#stored.has(name);
  }

  info(name: string): TensorInfo {
    return this.#tensors.info(this.#nameOf(name));
  }

  readFloat32(name: string, out?: Float32Array): Promise<Float32Array> {
    return this.#tensors.readFloat32(this.#nameOf(name), out);
  }

  readPieces(name: string, take: TakePiece): Promise<void> {
    return readPieces(this.#tensors, this.#nameOf(name), take);
  }

  readBfloat16(name: string, out?: Uint16Array): Promise<Uint16Array> {
    return this.#tensors.readBfloat16(this.#nameOf(name), out);
  }

  /** An unknown name is passed on, so that the error names it. */
  #nameOf(name: string): string {
    return this.#stored.get(name) ?? name;
  }
}
