import { companionNames, largestCompanion, sentenceNames } from '../base-model/companion-files.ts';
import { GraftError } from '../errors.ts';

export interface HubFile {
  path: string;
  /** Bytes. */
  size: number;
  /** Digest of the content: SHA-256 for large files, Git's blob id (SHA-1) for files stored in Git itself. */
  digest: { kind: 'sha256' | 'git'; hex: string };
}

/** Small files that a model is read from; only the first is required. */
const smallFiles = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'chat_template.jinja',
  'modules.json',
];

/** The pooling config that modules.json of a sentence-transformers model refers to. */
const poolingPattern = /^\d+_Pooling\/config\.json$/;

const indexName = 'model.safetensors.index.json';
const shardPattern = /^model-\d{5}-of-\d{5}\.safetensors$/;

/** The properties of a repository's file, on the Hub or elsewhere, that `chooseFiles` needs. */
export type ListedFile = Pick<HubFile, 'path' | 'size'>;

/**
 * Selects the files to download from a repository: config, tokenizer and safetensors, or one GGUF file, which holds everything. Never
 * pickle. `ggufFile` selects the GGUF file if a repository has several.
 * Throws GraftError `unsupported_model` or `base_model_not_found`.
 */
export function chooseFiles<File extends ListedFile>(
  model: string,
  files: readonly File[],
  ggufFile: string | null,
): File[] {
  // Only files at the top level, except pooling configs: other folders hold other formats.
  const top = new Map(files.filter(({ path }) => /^[\w.-]+$/.test(path)).map((file) => [file.path, file]));
  if (ggufFile !== null) {
    const file = top.get(ggufFile);
    if (file?.path.endsWith('.gguf')) return [file];
    throw new GraftError('base_model_not_found', `${model} has no GGUF file ${ggufFile}`, { param: 'model' });
  }
  const weights = safetensorsOf(top);
  if (weights.length > 0 && top.has('config.json')) {
    const poolings = top.has('modules.json') ? files.filter(({ path }) => poolingPattern.test(path)) : [];
    const named = (names: readonly string[]) => names.flatMap((name) => top.get(name) ?? []);
    const companions = named([...companionNames, ...sentenceNames]);
    return [
      ...named(smallFiles),
      ...companions.filter(({ size }) => size <= largestCompanion),
      ...poolings,
      ...weights,
    ];
  }
  const ggufs = [...top.values()].filter(({ path }) => path.endsWith('.gguf'));
  if (ggufs.length === 1) return ggufs;
  throw new GraftError('unsupported_model', `${model} ${whyNot(top, ggufs)}`, { param: 'model' });
}

function safetensorsOf<File extends ListedFile>(top: Map<string, File>): File[] {
  const single = top.get('model.safetensors');
  const index = top.get(indexName);
  if (index) return [index, ...[...top.values()].filter(({ path }) => shardPattern.test(path))];
  return single ? [single] : [];
}

function whyNot(top: Map<string, ListedFile>, ggufs: ListedFile[]): string {
  if (ggufs.length > 1)
    return `has several GGUF files; name one of ${ggufs.map(({ path }) => path).join(', ')}`;
  const pickles = [...top.keys()].filter((name) => /\.(bin|pt|pth|ckpt|pkl)$/.test(name));
  if (pickles.length > 0)
    return `has its weights in pickle files only (${pickles.join(', ')}), which are never read`;
  if (!top.has('config.json')) return 'has neither config.json nor a GGUF file';
  return 'has no model.safetensors';
}
