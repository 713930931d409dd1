import { type ApiBench, type Caller, chatLine } from './open-api-bench.ts';

/** Creates a job of a team on the model `tiny`, and waits until its files are validated. Returns its id. */
export async function queueJob({ untilState }: ApiBench, team: Caller): Promise<string> {
  const body = { model: 'tiny', training_file: await team.upload(`${chatLine}\n`), seed: 7 };
  const made = await team.send('POST', '/v1/fine_tuning/jobs', body);
  if (made.status !== 200) throw new Error(made.text);
  await untilState(made.json.id, 'queued');
  return made.json.id;
}
