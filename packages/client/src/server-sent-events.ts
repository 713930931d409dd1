export interface ServerSentEvent {
  /** Last `id` received so far, which the specification carries over; empty if there was none. */
  id: string;
  event: string;
  data: string;
}

/** Parses bytes to events as in https://html.spec.whatwg.org/multipage/server-sent-events.html. */
export async function* serverSentEvents(
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<ServerSentEvent, void, void> {
  let id = '';
  let event = '';
  let data: string[] = [];
  for await (const line of lines(bytes)) {
    if (line === '') {
      if (data.length > 0) yield { id, event: event === '' ? 'message' : event, data: data.join('\n') };
      event = '';
      data = [];
      continue;
    }
    const colon = line.indexOf(':');
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') data.push(value);
    else if (field === 'event') event = value;
    else if (field === 'id' && !value.includes('\0')) id = value;
  }
  // A block without its final empty line was cut off: it is dropped, and received again after a reconnect.
}

/** Lines end in \n, \r or \r\n; a \r at a chunk's end may be half of a \r\n. */
async function* lines(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of bytes) {
    rest += decoder.decode(chunk, { stream: true });
    for (;;) {
      const end = rest.search(/[\r\n]/);
      if (end === -1) break;
      if (rest[end] === '\r' && end === rest.length - 1) break;
      yield rest.slice(0, end);
      rest = rest.slice(rest.startsWith('\r\n', end) ? end + 2 : end + 1);
    }
  }
  if (rest.endsWith('\r')) yield rest.slice(0, -1);
}
