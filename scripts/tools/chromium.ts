import { spawnSync } from 'node:child_process';

const names = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];

/** The browser of the tests: GRAFT_CHROMIUM, else one on the PATH. Throws one line that says how to get it. */
export function findChromium(): string {
  const named = process.env.GRAFT_CHROMIUM;
  if (named) return named;
  for (const name of names) {
    const found = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' });
    if (found.status === 0) return found.stdout.trim();
  }
  throw new Error(
    'Chromium is missing. Install it with: sudo apt install chromium (Debian), or name one in GRAFT_CHROMIUM',
  );
}

/** The same, once it is installed where this process may: as root, of Debian's package. */
export function ensureChromium(report: (line: string) => void): string {
  try {
    return findChromium();
  } catch (missing) {
    if (process.getuid?.() !== 0) throw missing;
    report('apt-get install chromium (about 140 MB)');
    const install = ['install', '-y', '--no-install-recommends', 'chromium', 'fonts-liberation'];
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const apt = (args: string[]) => spawnSync('apt-get', args, { env, stdio: 'ignore' }).status === 0;
    // Its lists may be old or missing.
    if (!apt(install)) apt(['update']) && apt(install);
    return findChromium();
  }
}
