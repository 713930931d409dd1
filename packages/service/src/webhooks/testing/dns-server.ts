import { createSocket } from 'node:dgram';
import type { AddressInfo } from 'node:net';
import { isIP } from 'node:net';

/** Answers of a name server: addresses of either family, or another name. `asked` counts the queries of this name and family, from 1. */
export type Zone = Record<string, (asked: number) => (string | { cname: string })[]>;

export interface DnsServer {
  /** `host:port`, as `Resolver.setServers` expects it. */
  address: string;
  /** Number of queries by `name A` and `name AAAA`. */
  asked: Map<string, number>;
  close(): Promise<void>;
}

const types = { A: 1, CNAME: 5, AAAA: 28 };

/** Starts a real name server over UDP, whose answers may change from query to query. TTL 0. */
export async function openDnsServer(zone: Zone): Promise<DnsServer> {
  const socket = createSocket('udp4');
  const asked = new Map<string, number>();
  socket.on('message', (query, from) => {
    const { name, type, end } = questionOf(query);
    const key = `${name} ${type === types.AAAA ? 'AAAA' : 'A'}`;
    asked.set(key, (asked.get(key) ?? 0) + 1);
    const found = zone[name]?.(asked.get(key)!) ?? null;
    const records = (found ?? []).flatMap((answer) => {
      if (typeof answer !== 'string') return [recordOf(types.CNAME, encodeName(answer.cname))];
      const family = isIP(answer) === 4 ? types.A : types.AAAA;
      return family === type ? [recordOf(type, addressBytes(answer))] : [];
    });
    const header = Buffer.from(query.subarray(0, 12));
    // Recursive answer; NXDOMAIN if the zone does not have the name.
    header.writeUInt16BE(found ? 0x8180 : 0x8183, 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(records.length, 6);
    header.writeUInt32BE(0, 8);
    socket.send(Buffer.concat([header, query.subarray(12, end), ...records]), from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(socket.address() as AddressInfo).port}`,
    asked,
    close: async () => await new Promise<void>((resolve) => socket.close(resolve)),
  };
}

function questionOf(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at]!; length > 0; length = query[at]!) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 };
}

/** Encodes a record of the queried name, which is at offset 12. */
function recordOf(type: number, data: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function encodeName(name: string): Buffer {
  const labels = name
    .split('.')
    .map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`, 'latin1'));
  return Buffer.concat([...labels, Buffer.from([0])]);
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail = ''] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const words = (part: string) => (part ? part.split(':').map((word) => Number.parseInt(word, 16)) : []);
  const [first, last] = [words(head), words(tail)];
  const all = [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last];
  return Buffer.from(all.flatMap((word) => [word >> 8, word & 255]));
}
