import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { type BaseModelSpec, type HubModel, packagedModels } from '@graft/peft-core/files';
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import type { ServiceEnv } from '../environment/env.ts';
import { globToRegExp } from '../environment/hub-glob.ts';
import type { ConfiguredEntry } from './catalogue.ts';

/** The operator's file: `{"my-model": {"folder": "/models/my-model"}, "other": {"hub": "org/name", "revision": "main"}}`. */
const OperatorFileSchema = Type.Record(
  Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._/-]{0,95}$' }),
  Type.Union([
    Type.Object({ folder: Type.String({ minLength: 1 }) }, { additionalProperties: false }),
    Type.Object(
      { hub: Type.String({ minLength: 1 }), revision: Type.Optional(Type.String({ minLength: 1 })) },
      { additionalProperties: false },
    ),
  ]),
);

interface ListedModel extends ConfiguredEntry {
  spec: BaseModelSpec;
}

/** The ids that name base models; API, worker and the local commands use the same list. */
export interface ListedModels {
  /** The bundled models, the operator's entries, and the Hub ids that are allowed by their full name, keyed by id. */
  entries: Map<string, ListedModel>;
  /** Null: the id names no entry and matches no allowed Hub pattern. */
  find(id: string): BaseModelSpec | null;
}

/** The bundled models without terms of use, and those whose terms the operator accepted. Throws for an id without terms. */
function bundledModels(acceptedTerms: readonly string[]): ListedModel[] {
  const withTerms = packagedModels.filter(({ terms }) => terms !== null).map(({ id }) => id);
  const stray = acceptedTerms.find((id) => !withTerms.includes(id));
  if (stray !== undefined)
    throw new Error(
      `GRAFT_ACCEPTED_TERMS: ${stray} is no bundled model with terms of use; these are: ${withTerms.join(', ')}`,
    );
  return packagedModels
    .filter(({ id, terms }) => terms === null || acceptedTerms.includes(id))
    .map(({ id, hub, published, python }) => ({
      id,
      source: 'bundled',
      hub,
      createdAt: published,
      spec: { python },
    }));
}

const onHub = (id: string): HubModel => ({ id, quantization: null });

/** Reads the operator's file; throws an error that names the fault if the file, or an accepted id, is invalid. Opens no model. */
export async function listBaseModels(
  env: Pick<ServiceEnv, 'baseModels' | 'hubAllow' | 'acceptedTerms'>,
): Promise<ListedModels> {
  const bundled = bundledModels(env.acceptedTerms);
  const operator = env.baseModels === undefined ? [] : await readOperatorFile(env.baseModels);
  const exact = env.hubAllow
    .filter((glob) => !glob.includes('*'))
    .map(
      (id): ListedModel => ({ id, source: 'hub', hub: onHub(id), createdAt: new Date(0), spec: { hub: id } }),
    );
  const entries = new Map([...bundled, ...exact, ...operator].map((entry) => [entry.id, entry]));
  const allowed = env.hubAllow.map(globToRegExp);
  return {
    entries,
    find: (id) => {
      const entry = entries.get(id);
      if (entry) return entry.spec;
      const isHubId = /^[A-Za-z0-9][\w.-]{0,95}\/[A-Za-z0-9][\w.-]{0,95}$/.test(id);
      return isHubId && allowed.some((pattern) => pattern.test(id)) ? { hub: id } : null;
    },
  };
}

async function readOperatorFile(file: string): Promise<ListedModel[]> {
  const fault = (message: string) => new Error(`GRAFT_BASE_MODELS, ${file}: ${message}`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw fault((error as Error).message);
  }
  if (!Value.Check(OperatorFileSchema, parsed)) {
    const errors = Value.Errors(OperatorFileSchema, parsed);
    throw fault(errors.map((error) => `${error.instancePath || '/'} ${error.message}`).join('; '));
  }
  const { mtime } = await stat(file);
  return Object.entries(parsed as Static<typeof OperatorFileSchema>).map(([id, spec]) => ({
    id,
    source: 'operator',
    hub: 'hub' in spec ? onHub(spec.hub) : null,
    createdAt: mtime,
    // Relative folders are resolved against the folder of the file that names them.
    spec: 'folder' in spec ? { folder: path.resolve(path.dirname(file), spec.folder) } : spec,
  }));
}
