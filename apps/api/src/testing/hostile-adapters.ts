import { type AdapterParts, filesOf, type UploadFile } from './adapter-parts.ts';
import { brokenConfigs, wrongOptions } from './hostile-configs.ts';
import { bytesOf, type HostileAdapter, magics, randomOf } from './hostile-parts.ts';
import {
  brokenEntries,
  brokenHeaders,
  cutAndFlipped,
  disguises,
  notFinite,
  wrongTensors,
} from './hostile-weights.ts';

/** Several hundred hostile uploads, all derived from a valid one; the same for the same `seed`. */
export function hostileAdapters(sound: AdapterParts, seed = 1): HostileAdapter[] {
  const random = randomOf(seed);
  return [
    ...brokenHeaders(sound),
    ...brokenEntries(sound),
    ...wrongTensors(sound),
    ...notFinite(sound),
    ...disguises(sound),
    ...cutAndFlipped(sound, random),
    ...brokenConfigs(sound),
    ...wrongOptions(sound),
    ...strangeNames(sound),
    ...brokenCards(sound),
  ];
}

function strangeNames(sound: AdapterParts): HostileAdapter[] {
  const [first, second] = filesOf(sound) as [UploadFile, UploadFile];
  const names = [
    '../adapter_config.json',
    '../../../../tmp/adapter_config.json',
    '/etc/passwd',
    '/tmp/adapter_config.json',
    'a/../adapter_config.json',
    './adapter_config.json',
    'adapter_config.json/',
    '..',
    '.',
    ' ',
    'ADAPTER_CONFIG.JSON',
    'adapter_config.json ',
    '%2e%2e%2fadapter_config.json',
    '..\\adapter_config.json',
    'C:\\adapter_config.json',
    '\\\\host\\share\\x',
    'adapter_model.bin',
    'adapter_model.pt',
    'adapter.zip',
    'adapter.tar.gz',
    'config.json',
    'labels.json',
    'tokenizer.json',
    'training_args.bin',
    'readme.md',
    'adapter_config.json;x',
    '__proto__',
    'constructor',
    'toString',
    '\u202egnp.nosj',
    'x'.repeat(5000),
    'adapter_config.json\u0001',
  ];
  return names.flatMap((name) => [
    {
      what: `config as ${name.slice(0, 40)}`,
      files: [[name, first[1]], second],
      names: /file/,
    } as HostileAdapter,
    {
      what: `weights besides as ${name.slice(0, 40)}`,
      files: [first, second, [name, second[1]]],
      names: /file/,
    } as HostileAdapter,
  ]);
}

function brokenCards(sound: AdapterParts): HostileAdapter[] {
  const cards: (string | Uint8Array<ArrayBuffer>)[] = [
    bytesOf([0xff]),
    'a\0b',
    `---\nbase_model_sha256: ${'0'.repeat(64)}\n---\n`,
    `---\nbase_model_sha256: "${'f'.repeat(64)}"   \n---\n`,
    'x'.repeat(1024 * 1024 + 1),
    bytesOf(magics.zip!, 'x'),
    bytesOf(magics['pickle 4']!, 'x'),
  ];
  return cards.map((card, i) => ({
    what: `README ${i}`,
    files: [...filesOf(sound), ['README.md', card]],
    names: /README\.md/,
  }));
}
