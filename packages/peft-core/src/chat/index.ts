/** Conversations: what messages have, and how their fields are read. Loads no TensorFlow. */

export {
  type Conversation,
  lengthOfMessage,
  type Message,
  MessageSchema,
  REASONING_FIELDS,
  type Tool,
  ToolSchema,
} from './message.ts';
export { messageOf, readCalled, readReasoning, UnansweredCalls } from './message-fields.ts';
export { readTools, TOOL_NAME } from './read-tools.ts';
export { readsTools } from './template-tools.ts';
export { answerFormOf } from './tool-styles/tool-styles.ts';
