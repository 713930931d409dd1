import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeTinyModel, writeTinyToolModel } from '@graft/peft-core/testing';
import { createApiKey } from '@graft/service/keys';
import { createTeam } from '@graft/service/teams';
import { openTestServices } from '@graft/service/testing';
import { writeExamples } from '../golden/fixtures/example-data.ts';
import { scratchFolder } from '../golden/fixtures/scratch-folder.ts';
import { tinyFixture } from '../golden/fixtures/tiny-fixture.ts';
import {
  freePort,
  graftEnvironment,
  newBootstrapKey,
  startProcess,
  whenReady,
} from '../service/running-graft.ts';

/** The settings of a suite, which describe the Graft that it calls. */
export interface SuiteSettings {
  base_url: string;
  /** Keys of one team: one for most calls, and a read-only one. */
  member_key: string;
  viewer_key: string;
  /** Key of another team. */
  other_key: string;
  /** A tiny base model that can be trained and generates. */
  model: string;
  /** A tiny base model whose chat template has tools. */
  tool_model: string;
  /** A tiny base model that computes embeddings. */
  sentence_model: string;
  /** Path of a file with 24 chat examples. */
  training_file: string;
  /** True where this Graft has the endpoint /uploads. */
  has_uploads: boolean;
}

export interface SuiteGraft {
  settings: SuiteSettings;
  folder: string;
  /** `METHOD /path/{parameter}` of every route, from Graft's OpenAPI document. */
  routes: string[];
  /** Returns the last lines of its log. */
  tail: () => string;
  close(): Promise<void>;
}

const methods = ['get', 'post', 'put', 'patch', 'delete'];

/** Starts API and worker on separate services, with two teams. A key may have two open streams. */
export async function startSuiteGraft(): Promise<SuiteGraft> {
  const folder = scratchFolder('openai-suite');
  const fixture = await tinyFixture();
  const baseModels = join(folder, 'base-models.json');
  const trainingFile = join(folder, 'train.jsonl');
  const toolModel = join(folder, 'tool-model');
  const sentenceModel = join(folder, 'sentence-model');
  await writeTinyToolModel(toolModel);
  await writeTinyModel(sentenceModel, { model_type: 'bert' });
  const models = {
    'tiny-llama': { folder: fixture.modelFolder('tied') },
    'tiny-tools': { folder: toolModel },
    'tiny-sentences': { folder: sentenceModel },
  };
  await writeFile(baseModels, JSON.stringify(models));
  await writeExamples(trainingFile, 'chat', 24);
  const services = await openTestServices({ role: 'admin' });
  const port = await freePort();
  const graft = startProcess(
    'scripts/start/main.ts',
    [],
    graftEnvironment({
      PORT: String(port),
      // The pepper in this folder hashes the keys.
      GRAFT_DATA_DIR: services.env.dataDir,
      GRAFT_BASE_MODELS: baseModels,
      GRAFT_BOOTSTRAP_KEY: newBootstrapKey(),
      GRAFT_MAX_STREAMS_PER_KEY: '2',
      DATABASE_URL: services.env.databaseUrl,
      REDIS_URL: services.env.redisUrl,
    }),
  );
  const close = async () => {
    const code = await graft.end('SIGTERM');
    await services.close();
    if (code !== 0) throw new Error(`Graft stopped with ${code}:\n${graft.tail()}`);
  };
  try {
    const origin = `http://127.0.0.1:${port}`;
    await whenReady(graft, `${origin}/readyz`);
    const keyOf = async (teamId: string, role: 'member' | 'viewer') =>
      (await createApiKey(services, teamId, { name: role, role })).key;
    const orchard = await createTeam(services, { name: 'orchard' });
    const other = await createTeam(services, { name: 'other' });
    const { paths } = (await (await fetch(`${origin}/docs/json`)).json()) as {
      paths: Record<string, Record<string, unknown>>;
    };
    const routes = Object.entries(paths).flatMap(([path, operations]) =>
      Object.keys(operations)
        .filter((method) => methods.includes(method))
        .map((method) => `${method.toUpperCase()} ${path}`),
    );
    return {
      settings: {
        base_url: `${origin}/v1`,
        member_key: await keyOf(orchard.id, 'member'),
        viewer_key: await keyOf(orchard.id, 'viewer'),
        other_key: await keyOf(other.id, 'member'),
        model: 'tiny-llama',
        tool_model: 'tiny-tools',
        sentence_model: 'tiny-sentences',
        training_file: trainingFile,
        has_uploads: routes.includes('POST /v1/uploads'),
      },
      folder,
      routes,
      tail: graft.tail,
      close,
    };
  } catch (error) {
    await close().catch(() => {});
    throw error;
  }
}
