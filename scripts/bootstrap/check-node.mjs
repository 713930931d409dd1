import { BootstrapError } from './steps.mjs';

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
