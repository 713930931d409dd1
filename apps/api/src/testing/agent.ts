import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

/** Connects the official client of the Model Context Protocol with a key. `url`: of the API. */
export async function connectAgent(url: string, key: string): Promise<Client> {
  const client = new Client({ name: 'test', version: '1' });
  const requestInit = { headers: { authorization: `Bearer ${key}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/v1/mcp`), { requestInit }));
  return client;
}

/** Calls a tool and returns its result, parsed if it is a JSON object. */
export async function callTool(client: Client, name: string, args: Record<string, unknown> = {}) {
  const { content, isError } = await client.callTool({ name, arguments: args });
  const [first] = content;
  const text = first?.type === 'text' ? first.text : '';
  return { isError: isError === true, text, json: text.startsWith('{') ? JSON.parse(text) : null };
}
