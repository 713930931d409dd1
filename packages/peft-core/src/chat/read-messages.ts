import { isRecord, show } from '../schema/check-fields.ts';
import { weightFault } from '../schema/loss-weight.ts';
import { nearest } from '../schema/nearest.ts';
import { isTrainedOn, type Message } from './message.ts';

/** Maximum number of faults reported for one conversation; the check stops there. */
const MAX_FAULTS = 5;

const ROLES = ['system', 'user', 'assistant'];
const MESSAGE_KEYS = ['role', 'content', 'name', 'weight'];
const UNSUPPORTED_MESSAGE_KEYS = [
  'tool_calls',
  'tool_call_id',
  'function_call',
  'refusal',
  'audio',
  'thinking',
];

/** The messages of a line of training data, or their faults in one sentence. */
export function readMessages(messages: unknown): Message[] | string {
  if (!Array.isArray(messages) || messages.length === 0)
    return '"messages" must be a list of at least one message';
  const faults: string[] = [];
  for (let i = 0; i < messages.length && faults.length <= MAX_FAULTS; i++)
    faults.push(...messageFaults(messages[i]).map((fault) => `messages[${i}] ${fault}`));
  if (faults.length > 0)
    return faults.slice(0, MAX_FAULTS).join('; ') + (faults.length > MAX_FAULTS ? '; …' : '');
  const checked = messages as Message[];
  return checked.some(isTrainedOn) ? checked : 'has no assistant message to learn from';
}

function messageFaults(message: unknown): string[] {
  if (!isRecord(message)) return [`must be an object, got ${show(message)}`];
  const faults: string[] = [];
  for (const key of Object.keys(message)) {
    if (MESSAGE_KEYS.includes(key)) continue;
    if (faults.length > MAX_FAULTS) return faults;
    if (UNSUPPORTED_MESSAGE_KEYS.includes(key)) faults.push(`has "${key}", which is not supported`);
    else {
      const [near] = nearest(key, MESSAGE_KEYS);
      faults.push(`has an unknown field ${show(key)}${near ? `; did you mean "${near}"?` : ''}`);
    }
  }
  const { role, content, name, weight } = message;
  if (!ROLES.includes(role as string)) faults.push(`has role ${show(role)}; roles are ${ROLES.join(', ')}`);
  if (typeof content !== 'string') faults.push(`has content ${show(content)}; it must be a string`);
  else if (content === '' && role === 'assistant' && weight !== 0)
    faults.push('is an empty assistant message');
  if (name !== undefined && typeof name !== 'string')
    faults.push(`has name ${show(name)}; it must be a string`);
  if (weight !== undefined) {
    const fault = weightFault(weight);
    if (fault) faults.push(`has a weight that ${fault}`);
    else if (role !== 'assistant') faults.push('has a weight; only assistant messages do');
  }
  return faults;
}
