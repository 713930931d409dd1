import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { pythonEnvironment } from '../../../../../scripts/golden/environment/python-environment.ts';
import { randomText } from '../../ids.ts';
import { freePort } from '../../testing/free-port.ts';

export interface S3Server {
  endpoint: string;
  bucket: string;
  close(): Promise<void>;
}

/**
 * Opens an S3 server with an empty bucket: a new moto server, or the one at `GRAFT_TEST_S3`, whose credentials are in the environment. For
 * moto, sets the AWS variables of this process.
 */
export async function openS3Server(): Promise<S3Server> {
  const given = process.env.GRAFT_TEST_S3;
  const moto = given ? null : await startMoto();
  const endpoint = given || moto!.endpoint;
  const bucket = `graft-${randomText(12).toLowerCase()}`;
  try {
    const client = new S3Client({ endpoint, forcePathStyle: true, region: 'us-east-1' });
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
    client.destroy();
  } catch (error) {
    await moto?.close();
    throw error;
  }
  return { endpoint, bucket, close: async () => await moto?.close() };
}

async function startMoto(): Promise<{ endpoint: string; close(): Promise<void> }> {
  const python = await pythonEnvironment(undefined, 'moto');
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' });
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const options = ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)];
  const child = spawn(python, options, { cwd: tmpdir(), stdio: 'ignore' });
  const close = async () => {
    const exited = child.exitCode === null ? once(child, 'exit') : null;
    child.kill('SIGKILL');
    await exited;
  };
  try {
    await untilUp(endpoint, child);
  } catch (error) {
    await close();
    throw error;
  }
  return { endpoint, close };
}

async function untilUp(endpoint: string, child: ChildProcess): Promise<void> {
  const end = performance.now() + 60_000;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the S3 server ended with ${child.exitCode}`);
    const isUp = await fetch(endpoint).then(
      () => true,
      () => false,
    );
    if (isUp) return;
    if (performance.now() > end) throw new Error('the S3 server did not start');
    await sleep(100);
  }
}
