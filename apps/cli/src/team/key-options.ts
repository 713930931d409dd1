import type { Role } from '@graft/client';
import { roles } from '@graft/wire/lists';
import { Option } from 'commander';
import { timeSpan } from '../options/arguments.ts';

/** `--role`. `usual`: its default. */
export const roleOption = (description: string, usual?: Role): Option =>
  new Option('--role <role>', description).choices(roles).default(usual);

/** `--expires`, in seconds. */
export const expiresOption = (description = 'lifetime, such as 12h or 90d (default: unlimited)'): Option =>
  new Option('--expires <time>', description).argParser(timeSpan);
