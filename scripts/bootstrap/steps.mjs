// Progress lines of the bootstrap, on stderr: standard output belongs to the command that runs afterwards.

const tty = process.stderr.isTTY;
const colour = (code, text) => (tty ? `\u001b[${code}m${text}\u001b[0m` : text);

/**
 * Runs one step. `work` gets a function that reports progress and answers whether there was anything to do; a step
 * that had nothing to do prints nothing.
 * @param {string} name
 * @param {(report: (line: string) => void) => Promise<boolean> | boolean} work
 * @returns {Promise<boolean>} whether there was anything to do
 */
export async function step(name, work) {
  const began = performance.now();
  let announced = false;
  const report = (line) => {
    if (!announced) process.stderr.write(`${colour('36', '…')} ${name}\n`);
    announced = true;
    process.stderr.write(`    ${line}\n`);
  };
  const worked = await work(report);
  if (!worked && !announced) return false;
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  process.stderr.write(`${colour('32', '✓')} ${name} (${seconds} s)\n`);
  return true;
}

/** For the user who ran the bootstrap alone. @param {string} what */
export function nothingToDo(what) {
  process.stderr.write(`${colour('32', '✓')} ${what}: nothing to do\n`);
}

/** A prerequisite is missing or a step failed: one clear message, no stack. */
export class BootstrapError extends Error {}

/**
 * @param {string} version of Node, as process.versions has it
 * @throws {BootstrapError} one line: what is needed and how to get it
 */
export function checkNode(version = process.versions.node) {
  const [major, minor] = version.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  throw new BootstrapError(
    `Node ${version} is too old, 20.19 or newer is needed. Install it with: sudo apt install nodejs npm (Debian, Ubuntu), ` +
      'sudo dnf install nodejs (Fedora), brew install node (macOS), or from https://nodejs.org where these are older',
  );
}
