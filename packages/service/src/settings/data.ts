import { bytes, file, integer, list, matching, text, url } from './kinds.ts';
import { readBy, type Setting } from './setting.ts';

const postgres = url('postgresql', 'postgres');

export const databaseSettings = {
  DATABASE_URL: {
    kind: postgres,
    unset: 'a private Postgres 17 in the data folder',
    example: 'postgresql://graft:secret@127.0.0.1:5432/graft',
    readBy: ['api', 'worker', 'npm start', 'migrate'],
    secret: true,
    description:
      'Your Postgres, version 15 or later. For production, use [one login for the API and one for workers](deployment.md#database-logins). Started by root in a folder that other users cannot enter, the private Postgres keeps its data in `/var/lib/graft`.',
  },
  PGPASSWORD: {
    kind: text,
    unset: 'the password in the URL',
    readBy: ['api', 'worker', 'migrate'],
    secret: true,
    elsewhere: true,
    description:
      'Password of the database login, where it is not in the URL (in a URL, write `@`, `/` and `#` as `%40`, `%2F` and `%23`).',
  },
  GRAFT_MIGRATION_DATABASE_URL: {
    kind: postgres,
    unset: '`DATABASE_URL`',
    readBy: ['api', 'migrate'],
    secret: true,
    description:
      'The same database with the login that owns the tables, which runs migrations. Then `DATABASE_URL` can be a login that [row-level security](decisions/0012-row-level-security.md) applies to.',
  },
  REDIS_URL: {
    kind: url('redis', 'rediss'),
    unset: 'the queue uses Postgres',
    example: 'redis://127.0.0.1:6379/0',
    readBy: ['api', 'worker', 'npm start'],
    secret: true,
    description: 'Redis for the job queue. It holds only ids, so its data may be lost.',
  },
  REDIS_PASSWORD: {
    kind: text,
    unset: 'the password in the URL; docker compose refuses to start',
    readBy: ['api', 'worker', 'npm start', 'compose'],
    secret: true,
    elsewhere: true,
    description:
      'Password of Redis, where it is not in the URL, and of the Redis that docker compose starts.',
  },
  POSTGRES_PASSWORD: {
    kind: text,
    unset: 'docker compose refuses to start',
    readBy: ['compose'],
    secret: true,
    elsewhere: true,
    description: 'Password of the Postgres that docker compose starts.',
  },
} as const satisfies Record<string, Setting>;

export const storageSettings = {
  ARTIFACTS_URL: {
    kind: matching(
      /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:\/[A-Za-z0-9._-]+)*\/?$/,
      's3://bucket or s3://bucket/prefix',
    ),
    unset: 'the data folder, which all machines must share',
    example: 's3://graft/production',
    readBy: ['api', 'worker'],
    description: 'Bucket of uploads, adapters and checkpoints. Set it on all machines or none.',
  },
  GRAFT_S3_ENDPOINT: {
    kind: url('http', 'https'),
    unset: 'AWS',
    example: 'https://s3.example.com',
    readBy: ['api', 'worker'],
    description: 'An S3 server that is not AWS, such as Ceph or MinIO. Buckets are then part of the path.',
  },
  AWS_ACCESS_KEY_ID: {
    kind: text,
    unset: 'any other credentials that the AWS SDK finds',
    readBy: ['api', 'worker', 'compose'],
    secret: true,
    elsewhere: true,
    description: 'Access key of the bucket.',
  },
  AWS_SECRET_ACCESS_KEY: {
    kind: text,
    unset: 'any other credentials that the AWS SDK finds',
    readBy: ['api', 'worker', 'compose'],
    secret: true,
    elsewhere: true,
    description: 'Secret of that access key.',
  },
  AWS_REGION: {
    kind: text,
    default: 'us-east-1',
    readBy: ['api', 'worker'],
    elsewhere: true,
    description: 'Region of the bucket.',
  },
  GRAFT_STORAGE_CACHE_BYTES: {
    kind: bytes,
    default: String(20 * 2 ** 30),
    readBy: ['api', 'worker'],
    description: 'How much of the bucket a machine may keep in its data folder (20 GiB).',
  },
  GRAFT_MIN_FREE_BYTES: {
    kind: bytes,
    default: String(2 ** 30),
    readBy: ['worker'],
    description: 'A worker accepts no jobs while its data folder has less free space than this (1 GiB).',
  },
  GRAFT_ADAPTER_RETENTION_DAYS: {
    kind: integer(0, 9_999, 'a number of days'),
    default: '30',
    readBy: ['api', 'worker'],
    description: 'Days during which a deleted adapter version can be restored.',
  },
  GRAFT_EXPORT_DAYS: {
    kind: integer(1, 9_999, 'a number of days'),
    default: '7',
    readBy: ['api', 'worker'],
    description:
      'Days after which an [export](adapters.md#exports) is removed, unless its team keeps it. Use the same value on all machines.',
  },
} as const satisfies Record<string, Setting>;

export const uploadSettings = readBy(['api'], {
  GRAFT_MAX_UPLOAD_BYTES: {
    kind: bytes,
    default: String(512 * 2 ** 20),
    description: 'Largest upload (512 MiB).',
  },
  GRAFT_UPLOAD_EXPIRY_SECONDS: {
    kind: integer(1, 9_999_999, 'a number of seconds'),
    default: '3600',
    description: 'Seconds after which an unfinished multipart upload expires.',
  },
  GRAFT_MAX_OPEN_UPLOADS: {
    kind: integer(1, 9_999_999),
    default: '16',
    description: 'Multipart uploads that a team may have pending.',
  },
  GRAFT_HUB_DATA_SETS: {
    kind: list,
    default: '',
    example: 'HuggingFaceH4/*',
    description:
      'Patterns of Hugging Face Hub ids of public [data sets](files.md#data-sets-of-the-hub) that the API fetches for users: `organisation/*`, or `*/*` for all. Without it none. `HF_TOKEN` is not used for them.',
  },
});

export const outboundSettings = {
  GRAFT_WEBHOOK_ALLOW: {
    kind: list,
    default: '',
    example: '10.20.0.0/16,hooks.internal',
    readBy: ['api'],
    description:
      'Private addresses, ranges and host names that [webhooks](webhooks.md) may reach, also by HTTP: `host` on any port, `host:port`, and `team=host:port` for one team alone. Without it webhooks reach only the public internet, by HTTPS on port 443 or 8443.',
  },
  GRAFT_INTEGRATION_ALLOW: {
    kind: list,
    default: '',
    example: 'mlflow.internal',
    readBy: ['api'],
    description:
      'The same for servers of [experiment tracking](integrations.md), and for a Hub and its storage that teams [publish](exports.md#publish-on-the-hugging-face-hub) on.',
  },
  GRAFT_DEPLOY_ALLOW: {
    kind: list,
    default: '',
    example: 'research=vllm.internal:8000',
    readBy: ['api'],
    description:
      'The same for runtimes that [deploy targets](deploy-targets.md) name, always as `team=host:port`: the name or id of the team and the port, or `*` for all.',
  },
  GRAFT_DEPLOY_FOLDER: {
    kind: file,
    unset: 'no deploy targets',
    readBy: ['api'],
    description:
      'Folder in which the API writes the adapters of [deploy targets](deploy-targets.md), one folder a team. API machines and runtimes mount it.',
  },
  GRAFT_DEPLOYED_DIR: {
    kind: matching(/./, 'a path'),
    default: './deployed',
    readBy: ['compose'],
    elsewhere: true,
    description:
      'Folder of this machine that the container of the API sees as `/deployed`, for runtimes to mount; user 1000 must be able to write it. Set `GRAFT_DEPLOY_FOLDER=/deployed` with it.',
  },
} as const satisfies Record<string, Setting>;
