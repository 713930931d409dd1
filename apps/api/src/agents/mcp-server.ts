import { allowsScope, hasRole, type Identity } from '@graft/service/keys';
import { createMcpHandler, Server } from '@modelcontextprotocol/server';
import type { Access } from '../access/access.ts';
import type { Tool, ToolContext } from './tools.ts';

/** The caller, and what tools may do on the caller's behalf. */
export interface McpCaller {
  /** Null: the operator, who has no team. */
  identity: Identity | null;
  means: ToolContext;
}

const instructions = `Graft fine-tunes language models with small adapters. To train: upload_training_data (or use a file from list_files),
then create_fine_tuning_job with a base model from list_models, then wait_for_fine_tuning_job until its status is succeeded. Its
fine_tuned_model is the model to use with chat. If the job failed, its error has the reason and the parameter.`;

export type McpHandler = ReturnType<typeof openMcpHandler>;

/** Creates the handler of MCP messages. Each message has its caller, an McpCaller, in `authInfo.extra.caller`. */
export function openMcpHandler(tools: readonly Tool[]) {
  return createMcpHandler(
    ({ authInfo }) => createMcpServer(tools, authInfo!.extra!.caller as McpCaller),
    // The tools never change, so there is nothing to subscribe to.
    { maxSubscriptions: 0, keepAliveMs: 0 },
  );
}

/** Creates a server for one request, with the tools that the caller's key may use. */
function createMcpServer(tools: readonly Tool[], { identity, means }: McpCaller): Server {
  const server = new Server(
    { name: 'graft', version: '1.0.0' },
    { capabilities: { tools: {} }, instructions },
  );
  const usable = tools.filter(({ access, annotations }) =>
    canUse(identity, access, annotations.readOnlyHint),
  );
  server.setRequestHandler('tools/list', async () => ({
    tools: usable.map(({ name, description, inputSchema, annotations }) => {
      return { name, description, inputSchema, annotations };
    }),
  }));
  server.setRequestHandler('tools/call', async ({ params: { name, arguments: args = {} } }) => {
    const tool = tools.find((one) => one.name === name);
    if (!tool) return refusal(`There is no tool ${name.slice(0, 64)}.`);
    const missing = tool.inputSchema.required.find((one) => args[one] === undefined);
    if (missing) return refusal(`The argument ${missing} is missing.`);
    const { status, text } = await tool.call(args, means);
    return { content: [{ type: 'text' as const, text }], isError: status >= 400 };
  });
  return server;
}

function refusal(text: string) {
  return { content: [{ type: 'text' as const, text }], isError: true };
}

/** The same decision as the route makes; the route still checks again. */
function canUse(identity: Identity | null, access: Access, reads: boolean): boolean {
  if (!identity || typeof access === 'string') return false;
  const { scope, role = reads ? 'viewer' : 'member' } = access;
  return hasRole(identity.role, role) && allowsScope(identity.scopes, scope);
}
