// Node 20 runs no TypeScript, and a loader that compiles each file as it is imported costs every process a second of CPU and more:
// programs, trainers, commands and tests run what is compiled here once.
import { randomUUID } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { compiling, gatheredPath } from './rewrite.mjs';
import { digestOf, findSources } from './sources.mjs';

/** Compiled forms that are kept: a service that runs still starts processes from its own. */
const kept = 6;

/**
 * The folder with the compiled form of the current sources: `apps/api/src/main.js` for `apps/api/src/main.ts`. An existing folder is
 * reused (some 20 ms), otherwise the sources are compiled (some 2 s). A folder never changes, so programs that run from it are undisturbed.
 * @param {string} root of the checkout
 * @param {() => void} onCompile called before it compiles
 */
export async function ensureCompiled(root, onCompile = () => {}) {
  const sources = findSources(root);
  const compiled = path.join(root, 'compiled');
  const folder = path.join(compiled, digestOf(root, sources));
  if (existsSync(folder)) return folder;
  onCompile();
  try {
    mkdirSync(compiled, { recursive: true });
    accessSync(compiled, constants.W_OK);
  } catch (error) {
    throw new Error(
      `Graft's programs have changed and cannot be compiled into ${compiled} (${error.code}): ` +
        'run `npm run bootstrap` once as the user to whom that folder belongs',
    );
  }
  const unfinished = `${folder}-${randomUUID()}`;
  try {
    await compile(root, sources, folder, unfinished);
    renameSync(unfinished, folder);
  } catch (error) {
    // Another process was there first.
    if (!existsSync(folder)) throw error;
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  forgetOld(compiled);
  return folder;
}

/** The compiled file of a source. */
export const compiledFile = (folder, root, file) =>
  path.join(folder, path.relative(root, path.resolve(root, file))).replace(/\.tsx?$/, '.js');

async function compile(root, sources, folder, outdir) {
  const esbuild = createRequire(path.join(root, 'package.json'))('esbuild');
  const packages = new Set();
  const common = { bundle: true, format: 'esm', platform: 'node', target: 'node20', logLevel: 'silent' };
  mkdirSync(outdir, { recursive: true });
  await esbuild.build({
    ...common,
    entryPoints: sources,
    outbase: root,
    outdir,
    absWorkingDir: root,
    sourcemap: 'linked',
    sourcesContent: false,
    plugins: [compiling(root, folder, packages)],
  });
  await esbuild.build({
    ...common,
    entryPoints: [...packages].map((name) => ({
      in: name,
      out: path.relative(folder, gatheredPath(folder, name)).replace(/\.js$/, ''),
    })),
    outdir,
    splitting: true,
    absWorkingDir: root,
    chunkNames: 'packages-of-others/[name]-[hash]',
  });
}

/** Also what a process that was killed left half done. */
function forgetOld(compiled) {
  const byAge = readdirSync(compiled)
    .map((name) => ({
      name,
      at: statSync(path.join(compiled, name), { throwIfNoEntry: false })?.mtimeMs ?? 0,
    }))
    .sort((a, b) => b.at - a.at);
  for (const { name } of byAge.slice(kept))
    rmSync(path.join(compiled, name), { recursive: true, force: true });
}
