import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '../..');
const dist = join(root, 'apps/cli/dist');
/** `npm install FILE`, `npx --package=FILE graft`; the API serves it at /graft-cli.tgz. */
export const clientPackage = join(dist, 'graft-cli.tgz');
const stamp = join(dist, 'state');

/**
 * Packs the `graft` command without local training, with all that it needs bundled, as a package that npm installs by itself: no
 * TensorFlow, no other package. Answers whether there was anything to do. The file is replaced at once and whole.
 */
export async function packClient(): Promise<boolean> {
  await mkdir(dist, { recursive: true });
  const work = await mkdtemp(join(dist, 'pack-'));
  try {
    const state = await bundle(work);
    if ((await readFile(stamp, 'utf8').catch(() => null)) === state) return false;
    const { version } = JSON.parse(await readFile(join(root, 'apps/cli/package.json'), 'utf8')) as {
      version: string;
    };
    await writeFile(
      join(work, 'package.json'),
      JSON.stringify({
        name: '@graft/cli',
        version,
        license: 'Apache-2.0',
        type: 'module',
        description: 'The graft command: fine-tune language models on a Graft service',
        bin: { graft: 'graft.js' },
        engines: { node: '>=20.19' },
      }),
    );
    await copyFile(join(root, 'docs/cli.md'), join(work, 'README.md'));
    await copyFile(join(root, 'LICENSE'), join(work, 'LICENSE'));
    // Without the settings of the npm script that this may run in.
    const { npm_config_dry_run: _, ...env } = process.env;
    const { stdout } = await promisify(execFile)('npm', ['pack', '--json', '--ignore-scripts'], {
      cwd: work,
      env,
      shell: process.platform === 'win32',
    });
    const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
    await rename(join(work, filename), clientPackage);
    await writeFile(stamp, state);
    return true;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Bundles the command into `folder`; the answer changes when any byte of it or of what is packed beside it does. */
async function bundle(folder: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [{ in: join(root, 'apps/cli/src/client-main.ts'), out: 'graft' }],
    outdir: folder,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    write: false,
    minifySyntax: true,
    legalComments: 'eof',
    logLevel: 'warning',
    banner: {
      js: [
        '#!/usr/bin/env node',
        // Packages in CommonJS ask for Node's own modules.
        "import { createRequire as createRequireOfGraft } from 'node:module';",
        'const require = createRequireOfGraft(import.meta.url);',
      ].join('\n'),
    },
  });
  const hash = createHash('sha256');
  for (const { path, contents } of outputFiles) {
    await writeFile(path, contents);
    hash.update(path.slice(folder.length)).update(contents);
  }
  for (const beside of ['docs/cli.md', 'LICENSE', 'scripts/cli/pack-client.ts'])
    hash.update(await readFile(join(root, beside)));
  return hash.digest('hex');
}
