import { type Static, Type } from 'typebox';

/** A message of a conversation: in training data, in input of a template, and in a request for an answer. */
export const MessageSchema = Type.Object({
  /** The author: `system`, `user` or `assistant`. A template may support others. */
  role: Type.String(),
  content: Type.String(),
  /** Name of the author. Few templates use it. */
  name: Type.Optional(Type.String()),
  /** For an assistant message in training data: 0 excludes it from the loss. Templates do not receive it. */
  weight: Type.Optional(Type.Union([Type.Literal(0), Type.Literal(1)])),
});
export type Message = Static<typeof MessageSchema>;

/** Whether a message of training data counts towards the loss. */
export const isTrainedOn = ({ role, weight }: Message): boolean => role === 'assistant' && weight !== 0;
