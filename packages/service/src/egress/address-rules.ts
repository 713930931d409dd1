/** Decides which addresses a team's URL may lead to: public ones, and internal ones that the operator opens. */
import { BlockList, isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** What one of the operator's settings opens. */
export interface EgressRules {
  /** Name of the setting. */
  setting: string;
  /** Whether no internal address is open. */
  isEmpty: boolean;
  /** Returns whether the host name may resolve to an internal address. */
  opensHost(hostname: string): boolean;
  /** Returns whether an internal address is open, by itself or because its host is. */
  opens(address: string, hostname: string): boolean;
  /** Returns whether an address is public or open. */
  allows(address: string, hostname: string): boolean;
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

/** Builds the rules from entries that `isAllowEntry` accepts: addresses, ranges (10.1.0.0/16) and host names. */
export function createEgressRules(entries: readonly string[], setting = 'GRAFT_WEBHOOK_ALLOW'): EgressRules {
  const hosts = new Set(entries.filter((entry) => !isRange(entry)).map((entry) => entry.toLowerCase()));
  const open = listOf(entries.filter(isRange));
  const opens = (address: string, hostname: string): boolean => {
    if (contains(never, address)) return false;
    const carried = carriedV4(address);
    if (carried !== null && !opens(carried, hostname) && !isPublic(carried)) return false;
    return hosts.has(hostname) || contains(open, address);
  };
  return {
    setting,
    isEmpty: entries.length === 0,
    opensHost: (hostname) => hosts.has(hostname),
    opens,
    allows: (address, hostname) => isPublic(address) || opens(address, hostname),
  };
}

/** Returns whether `createEgressRules` can read an entry. */
export function isAllowEntry(entry: string): boolean {
  if (isRange(entry)) return true;
  // Text that looks like an address but is invalid is a mistake, not a host name.
  return !/^[\d.]+$/.test(entry) && /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_.-]*[a-z0-9])?$/i.test(entry);
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
