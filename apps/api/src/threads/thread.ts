export { answerCalls, createThread, startWorker, type Thread, ThreadTimeout } from '@graft/peft-core/threads';
