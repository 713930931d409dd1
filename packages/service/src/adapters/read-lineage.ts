import type { Database } from '../database/database.ts';
import { allowsModel, type ModelLimit } from '../keys/model-limit.ts';

/** A node of the lineage graph: an ancestor or a descendant of an adapter version. */
interface LineageNode {
  /** Id of the object; for a base model, its catalogue id. */
  id: string;
  type: 'base_model' | 'adapter_version' | 'job' | 'file' | 'checkpoint';
  /** Display name; null if the object was deleted, in which case nothing else is shown. */
  label: string | null;
  version: { adapterId: string; adapterName: string; number: number } | null;
  createdAt: Date | null;
}

interface LineageEdge {
  from: string;
  to: string;
  /**
   * `starts`: training or an upload continued from it. `feeds`: training read it. `makes`: training produced it, or it was combined with
   * others.
   */
  kind: 'starts' | 'feeds' | 'makes';
}

export interface Lineage {
  nodes: LineageNode[];
  edges: LineageEdge[];
  truncated: boolean;
}

/** Maximum number of versions and checkpoints in a graph, and of ancestors of the requested version. */
const limits = { versions: 200, checkpoints: 500, ancestors: 50 };

const columns = {
  select: {
    id: true,
    modelName: true,
    jobId: true,
    parentId: true,
    sourceIds: true,
    createdAt: true,
    deletedAt: true,
    adapterId: true,
    number: true,
    adapter: { select: { baseModel: true, name: true } },
  },
} as const;
type Row = Awaited<ReturnType<typeof readVersions>>[number];

async function readVersions({ db }: Database, teamId: string, ids: string[]) {
  return await db.adapterVersion.findMany({ where: { teamId, id: { in: ids } }, ...columns });
}

/** The versions that one was made from: that from which its training continued, or all that it was combined from. */
const parentsOf = ({ parentId, sourceIds }: Pick<Row, 'parentId' | 'sourceIds'>): string[] =>
  parentId === null ? sourceIds : [parentId, ...sourceIds];

/**
 * Reads the lineage graph of a version: its base model, its ancestors, its descendants, and the jobs with the files and checkpoints that
 * still exist. Runs one query per generation. Deleted versions and versions outside `models` appear only by id.
 */
export async function readLineage(
  db: Database,
  teamId: string,
  versionId: string,
  models: ModelLimit = null,
): Promise<Lineage> {
  const versions = new Map<string, Row | null>();
  let truncated = false;
  for (let generation = [versionId]; generation.length > 0; ) {
    const remaining = limits.ancestors + 1 - versions.size;
    const fresh = generation.slice(0, remaining);
    truncated ||= generation.length > remaining;
    const rows = fresh.length === 0 ? [] : await readVersions(db, teamId, fresh);
    for (const id of fresh) versions.set(id, rows.find((row) => row.id === id) ?? null);
    generation = [...new Set(rows.flatMap(parentsOf))].filter((id) => !versions.has(id));
  }
  for (let generation = [versionId]; generation.length > 0; ) {
    const remaining = limits.versions - versions.size;
    const children = await db.db.adapterVersion.findMany({
      where: { teamId, OR: [{ parentId: { in: generation } }, { sourceIds: { hasSome: generation } }] },
      orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
      take: remaining + 1,
      ...columns,
    });
    truncated ||= children.length > remaining;
    const fresh = children.slice(0, remaining).filter(({ id }) => !versions.has(id));
    for (const child of fresh) versions.set(child.id, child);
    generation = fresh.map(({ id }) => id);
  }
  const isShown = (row: Row | null): row is Row =>
    row !== null && row.deletedAt === null && allowsModel(models, row.modelName);
  const jobs = await readJobs(db, teamId, [...versions.values()].filter(isShown));
  return { ...graphOf(versions, jobs, isShown), truncated: truncated || jobs.truncated };
}

async function readJobs({ db }: Database, teamId: string, versions: Row[]) {
  const ids = versions.flatMap(({ jobId }) => jobId ?? []);
  if (ids.length === 0) return { jobs: [], files: [], checkpoints: [], truncated: false };
  const jobs = await db.job.findMany({
    where: { teamId, id: { in: ids } },
    select: { id: true, trainingFileId: true, validationFileId: true, dataFileIds: true, createdAt: true },
  });
  const files = await db.file.findMany({
    where: { teamId, id: { in: jobs.flatMap(filesOf) } },
    select: { id: true, filename: true, createdAt: true },
  });
  const checkpoints = await db.checkpoint.findMany({
    where: { teamId, jobId: { in: ids }, removedAt: null },
    select: { id: true, jobId: true, step: true, createdAt: true },
    orderBy: [{ jobId: 'asc' }, { step: 'asc' }],
    take: limits.checkpoints + 1,
  });
  const listed = checkpoints.slice(0, limits.checkpoints);
  return { jobs, files, checkpoints: listed, truncated: checkpoints.length > limits.checkpoints };
}

function graphOf(
  versions: ReadonlyMap<string, Row | null>,
  { jobs, files, checkpoints }: Omit<Awaited<ReturnType<typeof readJobs>>, 'truncated'>,
  isShown: (row: Row | null) => row is Row,
): Pick<Lineage, 'nodes' | 'edges'> {
  const nodes = new Map<string, LineageNode>();
  const edges: LineageEdge[] = [];
  const add = (
    type: LineageNode['type'],
    id: string,
    label: string | null,
    { version = null, createdAt = null }: Partial<Pick<LineageNode, 'version' | 'createdAt'>> = {},
  ) => void (nodes.has(id) || nodes.set(id, { id, type, label, version, createdAt }));

  for (const [id, row] of versions) {
    if (!isShown(row)) {
      add('adapter_version', id, null);
      continue;
    }
    const { adapterId, adapter, number, modelName, createdAt } = row;
    const version = { adapterId, adapterName: adapter.name, number };
    add('adapter_version', id, modelName, { version, createdAt });
  }
  for (const [id, row] of versions) {
    if (!row) continue;
    const parents = parentsOf(row);
    const job = isShown(row) ? jobs.find((each) => each.id === row.jobId) : undefined;
    if (parents.length === 0) {
      const { baseModel } = row.adapter;
      add('base_model', baseModel, baseModel);
      edges.push({ from: baseModel, to: job?.id ?? id, kind: 'starts' });
    }
    for (const parent of parents) {
      const isSource = row.sourceIds.includes(parent);
      // The other sources of a descendant are no relatives of the requested version.
      if (isSource && !versions.has(parent)) continue;
      add('adapter_version', parent, null);
      const kind = isSource ? 'makes' : 'starts';
      edges.push({ from: parent, to: job?.id ?? id, kind });
    }
    if (job) edges.push({ from: job.id, to: id, kind: 'makes' });
  }
  for (const job of jobs) {
    const { id, createdAt } = job;
    add('job', id, id, { createdAt });
    for (const file of filesOf(job)) {
      const row = files.find((each) => each.id === file);
      add('file', file, row?.filename ?? null, row);
      edges.push({ from: file, to: id, kind: 'feeds' });
    }
  }
  for (const { id, jobId, step, createdAt } of checkpoints) {
    add('checkpoint', id, `step ${step}`, { createdAt });
    edges.push({ from: jobId, to: id, kind: 'makes' });
  }
  return { nodes: [...nodes.values()], edges };
}

/** Ids of all files of a job, each once. */
function filesOf(job: {
  trainingFileId: string;
  validationFileId: string | null;
  dataFileIds: string[];
}): string[] {
  const all = [job.trainingFileId, job.validationFileId, ...job.dataFileIds];
  return [...new Set(all.filter((id) => id !== null))];
}
