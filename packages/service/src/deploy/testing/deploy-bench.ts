import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Services } from '../../services.ts';
import { createTestTeam } from '../../testing/job-fixtures.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import { startDeploySender } from '../send/deploy-sender.ts';
import type { DeployServices, DeployTimes } from '../send/deploy-times.ts';
import { addTarget, publishVersion, quick, sharedFolder, tag, untilTarget } from './deployed-adapter.ts';
import type { RuntimeServer } from './runtime-server.ts';
import { openVllmServer } from './vllm-server.ts';

/** Services with a shared folder, for tests of one target each. */
export class DeployBench {
  readonly services: Services;
  readonly shared: string;

  private constructor(services: Services, shared: string) {
    this.services = services;
    this.shared = shared;
  }

  static async open(): Promise<DeployBench> {
    const shared = await sharedFolder();
    const env = { GRAFT_DEPLOY_ALLOW: '*=127.0.0.1:*', GRAFT_DEPLOY_FOLDER: shared };
    return new DeployBench(await openTestServices({ env }), shared);
  }

  async close(): Promise<void> {
    await this.services.close();
    await rm(this.shared, { recursive: true, force: true });
  }

  /** A vLLM server, closed after the test. */
  async vllm(t: TestContext): Promise<RuntimeServer> {
    const server = await openVllmServer();
    t.after(async () => await server.close().catch(() => {}));
    return server;
  }

  /** A team whose target follows a tag at version 1 of 2. */
  async target(t: TestContext) {
    const { services } = this;
    const server = await this.vllm(t);
    const team = await createTestTeam(services);
    const first = await publishVersion(services, team);
    const second = await publishVersion(services, team);
    await tag(services, first);
    const target = await addTarget(services, first, { url: server.url });
    t.after(async () => await services.sql.query('DELETE FROM deploy_targets WHERE id = $1', [target.id]));
    return { server, team, first, second, target, folder: path.join(this.shared, team.id, target.id) };
  }

  /** Starts a sender, closed after the test. */
  start(t: TestContext, times: Partial<DeployTimes> = {}, services: DeployServices = this.services) {
    const sender = startDeploySender(services, { ...quick, ...times });
    t.after(async () => await sender.close());
    return sender;
  }

  async deployed(target: { id: string }) {
    return await untilTarget(this.services, target, ({ state }) => state === 'deployed');
  }

  async failing(target: { id: string }) {
    return await untilTarget(this.services, target, ({ state }) => state === 'failing');
  }

  async row({ id }: { id: string }) {
    return await this.services.db.deployTarget.findFirst({ where: { id } });
  }
}

export async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  const end = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error('not in time');
    await sleep(20);
  }
}
