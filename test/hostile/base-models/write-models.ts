/** Writes malicious base models from a seed: each is a valid tiny model with one change. */
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { writeGguf } from '../../../packages/peft-core/src/gguf/testing/write-gguf.ts';
import { writeTinyModel } from '../../../packages/peft-core/src/testing/tiny-model.ts';
import { type Change, type Draw, drawFrom, type Json, pick } from './draw.ts';
import { ggufChange } from './gguf.ts';
import { configChange, otherChange, tokenizerChange } from './small-files.ts';
import { indexChange, largest, weightsChange } from './weights.ts';

export interface HostileModel {
  name: string;
  /** Folder or file, relative to the folder passed to `writeHostileModels`. */
  place: string;
  /** The changed file. */
  file: string;
  /** Matches the error message. */
  says: RegExp;
}

const makers: ((draw: Draw, tokenizer: Json) => Change)[] = [
  configChange,
  tokenizerChange,
  tokenizerChange,
  otherChange,
  weightsChange,
  indexChange,
];

/** Writes `count` malicious models and a valid one, `sound`, below `folder`. The same seed gives the same models. */
export async function writeHostileModels(
  folder: string,
  count: number,
  seed: number,
): Promise<HostileModel[]> {
  const draw = drawFrom(seed);
  const sound = path.join(folder, 'sound');
  await writeTinyModel(sound);
  const tokenizer = JSON.parse(await readFile(path.join(sound, 'tokenizer.json'), 'utf8')) as Json;
  const models: HostileModel[] = [];
  while (models.length < count) {
    const number = models.length;
    if (number % 5 === 4) {
      const { name, gguf, says } = ggufChange(draw);
      const place = `m${number}.gguf`;
      await writeGguf(path.join(folder, place), gguf);
      models.push({ name: `${place}: ${name}`, place, file: place, says });
      continue;
    }
    const { name, file, content, says } = largest[number / 50] ?? pick(draw, makers)(draw, tokenizer);
    const place = `m${number}`;
    await mkdir(path.join(folder, place));
    await cp(sound, path.join(folder, place), { recursive: true });
    const target = path.join(folder, place, file);
    await rm(target, { force: true });
    if (typeof content === 'function') await content(target);
    else await writeFile(target, content);
    models.push({ name: `${place}/${file}: ${name}`, place, file, says });
  }
  return models;
}
