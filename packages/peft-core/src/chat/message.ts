import { type Static, Type } from 'typebox';

/** A message of a conversation: of training data, of the text that a template writes, and of a request for an answer. */
export const MessageSchema = Type.Object({
  /** Who speaks: `system`, `user` or `assistant`. A template may know others. */
  role: Type.String(),
  content: Type.String(),
  /** Of the speaker. Few templates write it. */
  name: Type.Optional(Type.String()),
  /** Of an assistant's message in training data: 0 keeps it out of the loss. Templates never see it. */
  weight: Type.Optional(Type.Union([Type.Literal(0), Type.Literal(1)])),
});
export type Message = Static<typeof MessageSchema>;

/** Whether a message of training data counts towards the loss. */
export const isTrainedOn = ({ role, weight }: Message): boolean => role === 'assistant' && weight !== 0;
