import { choice, file, list, matching, port, text, url } from './kinds.ts';
import { readBy, type Setting } from './setting.ts';

export const processSettings = {
  GRAFT_ENV_FILE: {
    kind: file,
    unset: "`.env` in Graft's folder",
    readBy: ['npm start', 'setup', 'graft'],
    elsewhere: true,
    description:
      'A file of settings in place of `.env`, for example of a second Graft. Set it in the environment only. Set to nothing: no file is read.',
  },
  PORT: {
    kind: port,
    default: '8000',
    readBy: ['api', 'npm start'],
    description: 'Port on which the API listens.',
  },
  GRAFT_BIND: {
    kind: text,
    default: '127.0.0.1',
    readBy: ['compose'],
    elsewhere: true,
    description:
      'Address of the machine on which the container of the API is reached. Use `0.0.0.0` only if a TLS proxy on another machine reaches it.',
  },
  HOST: {
    kind: text,
    default: '127.0.0.1',
    readBy: ['api', 'npm start'],
    description: 'Address on which the API listens. Use `0.0.0.0` only behind a TLS proxy.',
  },
  GRAFT_DATA_DIR: {
    kind: file,
    default: 'data',
    example: './data',
    readBy: ['api', 'worker', 'npm start', 'migrate'],
    description:
      'Folder of uploads, adapters, checkpoints, secrets and the embedded Postgres. Several machines mount the same folder, or set `ARTIFACTS_URL` and have one each. Only its owner may read it: other modes are corrected at start.',
  },
  GRAFT_CACHE_DIR: {
    kind: file,
    unset: '`$XDG_CACHE_HOME/graft` or `~/.cache/graft`',
    readBy: ['api', 'worker', 'setup', 'graft'],
    elsewhere: true,
    description: 'Folder of TensorFlow, base models and the Python environments of the tests.',
  },
  LOG_LEVEL: {
    kind: choice('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
    default: 'info',
    readBy: ['api', 'worker', 'npm start', 'migrate'],
    description: 'The least severe log lines that are written.',
  },
  GRAFT_LOG: {
    kind: choice('file', 'stdout'),
    default: 'file',
    readBy: ['npm start'],
    elsewhere: true,
    description:
      'Where `npm start` writes the log: `file` is `logs/` in the data folder, and warnings also appear on the terminal; `stdout` is JSON lines, which containers and service managers collect.',
  },
} as const satisfies Record<string, Setting>;

export const setupSettings = {
  GRAFT_TENSORFLOW: {
    kind: choice('cpu', 'gpu'),
    unset: '`gpu` where `nvidia-smi` finds a GPU, else `cpu`',
    readBy: ['setup', 'worker'],
    description: 'The build of TensorFlow that setup fetches, and that a worker trains with.',
  },
  CXX: {
    kind: text,
    unset: '`g++`, `clang++` or `c++`',
    readBy: ['setup'],
    description: 'The C++ compiler that builds the addon for TensorFlow.',
  },
  GRAFT_SKIP_MODEL: {
    kind: text,
    unset: 'the model is downloaded',
    readBy: ['setup'],
    description: '`1`: do not download the base model of the demo and the tests.',
  },
  GRAFT_COMMIT: {
    kind: text,
    unset: 'the output of `git`',
    readBy: ['api', 'worker', 'compose'],
    description: 'Commit of the source, for the lineage of adapter versions.',
  },
  GRAFT_CHROMIUM: {
    kind: text,
    unset: '`chromium` or `google-chrome` on the PATH',
    readBy: ['tests'],
    description: 'The browser that the tests of the dashboard use.',
  },
  GRAFT_PICTURES: {
    kind: file,
    unset: 'no screenshots',
    readBy: ['tests'],
    description: 'Folder for screenshots that these tests take.',
  },
} as const satisfies Record<string, Setting>;

export const clientSettings = readBy(['graft'], {
  GRAFT_BASE_URL: {
    kind: url('http', 'https'),
    default: 'http://127.0.0.1:8000/v1',
    description: 'URL of the API, for the `graft` command and the TypeScript client.',
  },
  GRAFT_API_KEY: {
    kind: text,
    unset: 'the key that `graft login` saved',
    description: 'API key, for the `graft` command and the TypeScript client.',
  },
  GRAFT_OPERATOR_KEY: {
    kind: text,
    unset: 'the operator key that `graft login` saved',
    description: 'Operator key, for `graft admin`.',
  },
});

export const modelSettings = {
  GRAFT_BASE_MODELS: {
    kind: file,
    unset: 'only the bundled models',
    readBy: ['api', 'worker', 'graft'],
    description:
      'JSON file of more [base models](base-models.md), such as `{"my-model": {"folder": "/models/my-model"}, "other": {"hub": "org/name", "revision": "main"}}`. Folders in it are relative to the file and must exist on every machine.',
  },
  GRAFT_HUB_ALLOW: {
    kind: list,
    default: '',
    example: 'HuggingFaceTB/*',
    readBy: ['api', 'worker'],
    description: 'Patterns of Hugging Face Hub ids that users may name as base models.',
  },
  GRAFT_ACCEPTED_TERMS: {
    kind: list,
    default: '',
    example: 'gemma-3-270m',
    readBy: ['api', 'worker', 'graft'],
    description:
      'Ids of [bundled models with terms of use](base-models.md#gemma-3-270m) that you accept. Only then are these models offered.',
  },
  GRAFT_BASE_MODEL_SOURCES: {
    kind: list,
    default: '',
    example: 'hub:HuggingFaceTB/*',
    readBy: ['api'],
    description:
      'Where operators may [add base models](base-models.md) from at run time: `hub:organisation/glob`, absolute folders, `s3://bucket/prefix`.',
  },
  HF_ENDPOINT: {
    kind: url('http', 'https'),
    unset: '`https://huggingface.co`',
    readBy: ['api', 'worker', 'graft'],
    description: 'A mirror of the Hugging Face Hub.',
  },
  HF_TOKEN: {
    kind: text,
    unset: 'public models only',
    readBy: ['api', 'worker', 'graft'],
    secret: true,
    description: 'Token for gated and private models of the Hub.',
  },
  GRAFT_MODELS_DIR: {
    kind: matching(/./, 'a path'),
    default: './models',
    readBy: ['compose'],
    elsewhere: true,
    description:
      'Folder of this machine that containers see as `/models`. Set `GRAFT_BASE_MODELS=/models/base-models.json` with it.',
  },
} as const satisfies Record<string, Setting>;
