import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ReceivedSpan {
  /** Hexadecimal, as are the next two. */
  traceId: string;
  spanId: string;
  /** Empty for a root span. */
  parentId: string;
  name: string;
  /** `service.name` of the process. */
  service: string;
  attributes: Record<string, string | number | boolean>;
  events: { name: string; attributes: Record<string, string | number | boolean> }[];
}

export interface OtlpReceiver {
  /** Value for OTEL_EXPORTER_OTLP_ENDPOINT. */
  url: string;
  spans: ReceivedSpan[];
  close(): Promise<void>;
}

/** A collector for OTLP over HTTP: stores the spans that real exporters send as protobuf (opentelemetry-proto's trace/v1). */
export async function openOtlpReceiver(): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    if (request.url === '/v1/traces') spans.push(...spansOf(Buffer.concat(chunks)));
    response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function spansOf(body: Buffer): ReceivedSpan[] {
  const found: ReceivedSpan[] = [];
  for (const resourceSpans of messages(body, 1)) {
    const [resource] = messages(resourceSpans, 1);
    const service = String(attributesOf(resource ?? Buffer.alloc(0), 1)['service.name']);
    for (const scopeSpans of messages(resourceSpans, 2)) {
      for (const span of messages(scopeSpans, 2)) {
        const hex = (field: number) => messages(span, field)[0]?.toString('hex') ?? '';
        found.push({
          traceId: hex(1),
          spanId: hex(2),
          parentId: hex(4),
          name: messages(span, 5)[0]?.toString() ?? '',
          service,
          attributes: attributesOf(span, 9),
          events: messages(span, 11).map((event) => ({
            name: messages(event, 2)[0]?.toString() ?? '',
            attributes: attributesOf(event, 3),
          })),
        });
      }
    }
  }
  return found;
}

/** KeyValue {1: key, 2: AnyValue {1: string, 2: bool, 3: int, 4: double}} */
function attributesOf(message: Buffer, field: number): Record<string, string | number | boolean> {
  return Object.fromEntries(
    messages(message, field).map((pair) => {
      const [key, any] = [messages(pair, 1)[0], messages(pair, 2)[0] ?? Buffer.alloc(0)];
      const [first] = fields(any);
      const value =
        first?.field === 1
          ? (first.value as Buffer).toString()
          : first?.field === 2
            ? first.value === 1n
            : first?.field === 4
              ? (first.value as Buffer).readDoubleLE()
              : Number(BigInt.asIntN(64, (first?.value as bigint | undefined) ?? 0n));
      return [String(key), value];
    }),
  );
}

function messages(message: Buffer, field: number): Buffer[] {
  return fields(message)
    .filter((entry) => entry.field === field && Buffer.isBuffer(entry.value))
    .map(({ value }) => value as Buffer);
}

/** The fields of a protobuf message, in order: varints as bigint, all others as bytes. */
function fields(message: Buffer): { field: number; value: bigint | Buffer }[] {
  const found: { field: number; value: bigint | Buffer }[] = [];
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = Number(varint());
    const wire = tag & 7;
    if (wire === 0) {
      found.push({ field: tag >> 3, value: varint() });
      continue;
    }
    const length = wire === 2 ? Number(varint()) : wire === 1 ? 8 : 4;
    found.push({ field: tag >> 3, value: message.subarray(at, at + length) });
    at += length;
  }
  return found;
}
