import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parsePeftConfig } from '@graft/peft-core/config';
import { PublishingHub } from '@graft/peft-core/testing/publishing-hub';
import type { AdapterVersion } from '../../adapters/adapter.ts';
import { publishUpload } from '../../adapters/publish-upload.ts';
import { graftAdmin } from '../../audit/actor.ts';
import { createExport } from '../../exports/create-export.ts';
import type { AdapterExport } from '../../exports/export.ts';
import { claimExport, finishExport } from '../../exports/export-lease.ts';
import { newId } from '../../ids.ts';
import { putIntegration } from '../../integrations/manage-integrations.ts';
import type { Services } from '../../services.ts';
import { createTestTeam, type TestTeam } from '../../testing/job-fixtures.ts';
import { keepLog } from '../../testing/keep-log.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import { createPublication, getPublication, type NewPublication } from '../manage-publications.ts';
import type { Publication } from '../publication.ts';
import { setPublishingRules } from '../publishing-rules.ts';
import { type PublicationTimes, startPublicationSender } from '../send/publication-sender.ts';
import { quick } from './quick.ts';

export const token = 'hf_canary1234567890';
export const by = graftAdmin;

/** Real services and a server with the Hub's protocol, with a new team and version for each test. */
export class PublicationBench {
  team!: TestTeam;
  version!: AdapterVersion;
  #sender: { close(): Promise<void> } | undefined;

  readonly hub: PublishingHub;
  readonly services: Services;
  readonly #log: ReturnType<typeof keepLog>;

  private constructor(hub: PublishingHub, services: Services, log: ReturnType<typeof keepLog>) {
    this.hub = hub;
    this.services = services;
    this.#log = log;
  }

  static async open(env: NodeJS.ProcessEnv = {}): Promise<PublicationBench> {
    const hub = await PublishingHub.start();
    const log = keepLog();
    const own = { GRAFT_INTEGRATION_ALLOW: '127.0.0.1', HF_ENDPOINT: hub.endpoint };
    const services = await openTestServices({ env: { ...own, ...env }, log: log.log });
    return new PublicationBench(hub, services, log);
  }

  /** Before each test. */
  async reset(): Promise<void> {
    this.hub.reset();
    await this.services.sql.query('DELETE FROM publications');
    this.hub.tokens.set(token, ['org']);
    this.team = await createTestTeam(this.services);
    this.version = await this.storeVersion();
    await this.setToken();
  }

  /** After each test: the token went nowhere else. */
  async endTest(): Promise<void> {
    await this.#sender?.close();
    this.#sender = undefined;
    assert.equal(this.hub.leaked, false);
    assert.doesNotMatch(JSON.stringify(this.#log.lines), new RegExp(token));
  }

  async close(): Promise<void> {
    this.hub.stop();
    await this.services.close();
  }

  /** Starts a sender, after the one before has ended. */
  async start(times: Partial<PublicationTimes> = {}, services = this.services): Promise<void> {
    await this.#sender?.close();
    this.#sender = startPublicationSender(services, { ...quick, ...times });
  }

  async stop(): Promise<void> {
    await this.#sender?.close();
    this.#sender = undefined;
  }

  async setToken(secret = token, of = this.team): Promise<void> {
    await putIntegration(this.services, of.id, 'huggingface', { secret }, by);
    await setPublishingRules(this.services, of.id, { repositories: ['org', 'other'], allowPublic: true }, by);
  }

  async create(changes: Partial<NewPublication> = {}, of = this.team): Promise<Publication> {
    const request = {
      versionId: this.version.id,
      exportId: null,
      repository: 'org/poet',
      isPublic: false,
      card: true,
    };
    return (await createPublication(this.services, of.id, { ...request, ...changes }, by)).publication;
  }

  async storeVersion(of = this.team, files: Record<string, string> = {}): Promise<AdapterVersion> {
    const { services } = this;
    const folder = await services.artifacts.stage(newId('version'), 0);
    const all = { 'adapter_model.safetensors': randomBytes(250_000), 'adapter_config.json': '{}', ...files };
    for (const [name, content] of Object.entries(all)) await writeFile(path.join(folder, name), content);
    const stored = await services.artifacts.publish(folder);
    const peft = parsePeftConfig({ peft_type: 'LORA', r: 4 });
    const base = { id: 'tiny', digest: 'b'.repeat(64) };
    const upload = { ...stored, name: 'poet', base, peft, parentId: null, note: null };
    return await publishUpload(services, of.id, upload, { keyId: of.keyId });
  }

  /** Does what a worker does. */
  async storeExport(format = 'merged'): Promise<AdapterExport> {
    const { services } = this;
    const request = { versionId: this.version.id, format, options: {}, reservedBytes: 1, keep: false };
    const { made } = await createExport(services, this.team.id, request, by);
    const { lease } = (await claimExport(services, { workerId: 'w', leaseSeconds: 60 }))!;
    const folder = await services.exports.stage(made.id, lease.epoch, lease.token);
    await writeFile(path.join(folder, 'model.safetensors'), randomBytes(250_000));
    await writeFile(path.join(folder, 'config.json'), '{}');
    const stored = await services.exports.publish(folder);
    await finishExport(services, lease, { stored, notes: ['Rounded.'] });
    return made;
  }

  async until(of: Publication, holds: (now: Publication) => boolean): Promise<Publication> {
    for (const end = performance.now() + 90_000; performance.now() < end; await sleep(20)) {
      const now = await getPublication(this.services, of.teamId, of);
      assert.ok(now);
      if (holds(now)) return now;
    }
    throw new Error(JSON.stringify(await getPublication(this.services, of.teamId, of)));
  }

  async ended(of: Publication): Promise<Publication> {
    return await this.until(of, ({ status }) => status === 'succeeded' || status === 'failed');
  }

  /** After a failed attempt, before the next. */
  async failing(of: Publication): Promise<Publication> {
    return await this.until(of, ({ status, error }) => status === 'queued' && error !== null);
  }

  /** Commits with files. */
  commits(repository = 'org/poet') {
    return this.hub.repositories.get(repository)!.commits.slice(1);
  }

  filesOf(repository = 'org/poet'): string[] {
    return [...this.commits(repository).at(-1)!.files.keys()].sort();
  }
}
