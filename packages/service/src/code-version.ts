import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export interface CodeVersion {
  version: string;
  /** Git commit; null for an installation without its repository. */
  commit: string | null;
}

/** Reads the version. The commit is GRAFT_COMMIT, which is set when images are built, or the one that git has checked out. */
export async function readCodeVersion(): Promise<CodeVersion> {
  const manifest = new URL('../package.json', import.meta.url);
  const { version } = JSON.parse(await readFile(manifest, 'utf8')) as { version: string };
  return {
    version,
    commit: process.env.GRAFT_COMMIT || (await gitCommit(fileURLToPath(new URL('.', manifest)))),
  };
}

/** Formats the version as one text: `1.0.0+5d41402abc4b`. */
export const versionText = ({ version, commit }: CodeVersion): string =>
  commit === null ? version : `${version}+${commit.slice(0, 12)}`;

async function gitCommit(folder: string): Promise<string | null> {
  const git = promisify(execFile)('git', ['-C', folder, 'rev-parse', 'HEAD'], { timeout: 5000 });
  return await git.then(
    ({ stdout }) => stdout.trim() || null,
    () => null,
  );
}
