import { spawnSync } from 'node:child_process';

/** Tools that scenarios need besides Node, each with the command that checks for it. */
const probes = {
  strace: ['strace', '-qq', '-f', '-e', 'trace=none', 'true'],
  'network namespaces': ['sh', '-c', 'ip netns add graft-probe && ip netns delete graft-probe'],
  'redis-server': ['redis-server', '--version'],
  mounts: ['unshare', '--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt'],
} as const;

export type Tool = keyof typeof probes;

/** One command that installs all of them on Debian and Ubuntu. */
export const installCommand = 'sudo sh chaos/install-tools.sh';

const found = new Map<Tool, boolean>();

export function hasTool(tool: Tool): boolean {
  const known = found.get(tool);
  if (known !== undefined) return known;
  const [command, ...args] = probes[tool];
  const works = spawnSync(command, args, { stdio: 'ignore' }).status === 0;
  found.set(tool, works);
  return works;
}
