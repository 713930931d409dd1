/** Decides which addresses a team's URL may lead to: public ones, and internal ones that the operator opens. */
import { BlockList, isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Addresses that one of the operator's settings opens for a team. */
export interface EgressRules {
  setting: string;
  /** True where no internal address is open. */
  isEmpty: boolean;
  /** Returns whether the host name may resolve to an internal address, on this port or with no `port` on any. */
  opensHost(hostname: string, port?: number): boolean;
  /** Returns whether an internal address is open on a port, by itself or because its host is. */
  opens(address: string, hostname: string, port: number): boolean;
  /** Returns whether an address is public or open. */
  allows(address: string, hostname: string, port: number): boolean;
}

/** An entry of a setting: `team=host:port`. */
interface AllowEntry {
  /** Name or id of the only team that it opens the address for; null: for all. */
  team: string | null;
  /** An address, a range such as 10.1.0.0/16, or a host name in lower case. */
  host: string;
  /** Null: all ports. */
  port: number | null;
}

/** IPv4 addresses that are not on the internet: IANA's special-purpose registry, multicast, and Azure's host. */
const insideV4 = listOf([
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '168.63.129.16/32',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
]);

/**
 * The only IPv6 block that is allocated to the internet. It excludes ::1, v4-mapped and v4-compatible, NAT64, unique local, link-local and
 * multicast addresses. `insideV6` excludes the ranges in it for protocols, Teredo, documentation and embedded IPv4 addresses (6to4).
 */
const allocatedV6 = listOf(['2000::/3']);
const insideV6 = listOf(['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']);

/**
 * Addresses that no setting opens: cloud metadata services, which serve machine credentials, and addresses that belong to no host. A team's
 * host name must not lead there because the operator opened 10.0.0.0/8 or everything.
 */
const never = listOf([
  '0.0.0.0/8',
  '100.100.100.200/32',
  '168.63.129.16/32',
  '169.254.0.0/16',
  '192.0.0.192/32',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/128',
  'fd00:ec2::254/128',
  'fd20:ce::254/128',
  'fe80::/10',
  'ff00::/8',
]);

/**
 * Builds the rules from entries that `isAllowEntry` accepts. Entries that name a team count only for that `team`, by its name or id.
 */
export function createEgressRules(
  entries: readonly string[],
  setting = 'GRAFT_WEBHOOK_ALLOW',
  team: { id: string; name: string } | null = null,
): EgressRules {
  const open = entries
    .flatMap((entry) => parseAllowEntry(entry) ?? [])
    .filter((entry) => entry.team === null || entry.team === team?.id || entry.team === team?.name)
    .map(({ host, port }) => ({ host, port, list: isRange(host) ? listOf([host]) : null }));
  const opensHost = (hostname: string, port?: number) =>
    open.some((each) => each.host === hostname && isOpenOn(each, port));
  const opens = (address: string, hostname: string, port: number): boolean => {
    if (contains(never, address)) return false;
    const carried = carriedV4(address);
    if (carried !== null && !opens(carried, hostname, port) && !isPublic(carried)) return false;
    return (
      opensHost(hostname, port) ||
      open.some((each) => each.list !== null && isOpenOn(each, port) && contains(each.list, address))
    );
  };
  return {
    setting,
    isEmpty: open.length === 0,
    opensHost,
    opens,
    allows: (address, hostname, port) => isPublic(address) || opens(address, hostname, port),
  };
}

const isOpenOn = (entry: Pick<AllowEntry, 'port'>, port: number | undefined) =>
  port === undefined || entry.port === null || entry.port === port;

export const isAllowEntry = (entry: string): boolean => parseAllowEntry(entry) !== null;

/** Returns whether an entry can be read and names who may reach it and on which port, if only by `*`. */
export const isWholeEntry = (entry: string): boolean =>
  isAllowEntry(entry) && /^[^=]+=(?:[^:]+|\[.+\]):[^:\]]+$/.test(entry);

/**
 * Reads `team=host:port`. The team may be absent or `*`, which opens the address for all; so may the port, which opens all ports. IPv6 before
 * a port has brackets. Null: text that has another form.
 */
function parseAllowEntry(entry: string): AllowEntry | null {
  const [, named = '*', address = ''] = /^(?:([a-z0-9-]+|\*)=)?(.*)$/i.exec(entry) ?? [];
  const team = named === '*' ? null : named;
  if (isRange(address)) return { team, host: address, port: null };
  const [, text = '', digits = '*'] = /^(.*?)(?::(\d{1,5}|\*))?$/.exec(address) ?? [];
  const port = digits === '*' ? null : Number(digits);
  if (port === 0 || (port ?? 1) > 65_535) return null;
  const bracketed = /^\[(.+:.*)\]$/.exec(text)?.[1];
  if (isRange(bracketed ?? text))
    return bracketed === undefined && text.includes(':') ? null : { team, host: bracketed ?? text, port };
  // Text that looks like an address but is invalid is a mistake, not a host name.
  if (/^[\d.]+$/.test(text) || !/^(?=.{1,253}$)[a-z0-9_]([a-z0-9_.-]*[a-z0-9])?$/i.test(text)) return null;
  return { team, host: text.toLowerCase(), port };
}

export function isPublic(address: string): boolean {
  const version = isIP(address);
  if (version === 4) return !insideV4.check(address);
  return version === 6 && allocatedV6.check(address, 'ipv6') && !insideV6.check(address, 'ipv6');
}

function isRange(entry: string): boolean {
  const [address = '', bits, ...more] = entry.split('/');
  const version = isIP(address);
  if (version === 0 || more.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128));
}

function listOf(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', bits] = range.split('/');
    const type = isIP(address) === 4 ? 'ipv4' : 'ipv6';
    list.addSubnet(address, Number(bits ?? (type === 'ipv4' ? 32 : 128)), type);
  }
  return list;
}

function contains(list: BlockList, address: string): boolean {
  const version = isIP(address);
  return version !== 0 && list.check(address, version === 4 ? 'ipv4' : 'ipv6');
}

/** Returns the IPv4 address to which a v4-mapped, v4-compatible, NAT64 or 6to4 address leads; null for all others. */
function carriedV4(address: string): string | null {
  if (isIP(address) !== 6) return null;
  // ipaddr.js reads ::0.0.0.1 as ::ffff:0.0.0.1, so that such spellings stay closed.
  const { parts } = ipaddr.IPv6.parse(address);
  const [a, b, c] = parts as [number, number, number];
  const high = parts[6]!;
  const last = dotted(high, parts[7]!);
  const zeros = parts.slice(0, 5).every((part) => part === 0);
  if (zeros && (parts[5] === 0xffff || (parts[5] === 0 && high !== 0))) return last;
  if (a === 0x64 && b === 0xff9b) return last;
  if (a === 0x2002) return dotted(b, c);
  return null;
}

function dotted(high: number, low: number): string {
  return new ipaddr.IPv4([high >> 8, high & 255, low >> 8, low & 255]).toString();
}
