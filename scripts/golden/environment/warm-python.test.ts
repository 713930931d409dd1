import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { isWarm, runWarm, startWarmPython } from './warm-python.ts';

const folder = mkdtempSync(join(tmpdir(), 'graft-warm-'));
let stop = async () => {};
before(async () => {
  ({ stop } = await startWarmPython(folder, 'python3', 'peft', ['json', 'random']));
});
after(async () => {
  await stop();
  rmSync(folder, { recursive: true, force: true });
});
const skip = process.platform !== 'linux' && 'there is none here';

async function run(text: string, ...args: string[]) {
  const script = join(mkdtempSync(join(folder, 'script-')), 'script.py');
  writeFileSync(script, text);
  const [stdout, stderr] = [`${script}.out`, `${script}.err`];
  const code = await runWarm(folder, 'peft', { arguments: [script, ...args], stdout, stderr });
  return { code, stdout: readFileSync(stdout, 'utf8'), stderr: readFileSync(stderr, 'utf8') };
}

test('a script has its arguments, the imports, its own standard streams and its exit code', {
  skip,
}, async () => {
  assert.ok(isWarm(folder, 'peft') && !isWarm(folder, 'adapters') && !isWarm(undefined, 'peft'));
  const text = `import sys
warm = "random" in sys.modules
print(__name__, warm, sys.argv[1:])
print("a fault", file=sys.stderr)
sys.exit(3)`;
  assert.deepEqual(await run(text, 'a', 'b c'), {
    code: 3,
    stdout: "__main__ True ['a', 'b c']\n",
    stderr: 'a fault\n',
  });
  const fault = await run('import missing_module');
  assert.equal(fault.code, 1);
  assert.match(fault.stderr, /No module named 'missing_module'/);
  assert.equal((await run('import os, signal; os.kill(os.getpid(), signal.SIGKILL)')).code, null);
});

test('scripts leave each other nothing, and run at once', { skip }, async () => {
  const file = join(folder, 'there');
  const waits = `import json, os, time
json.left = 1
while not os.path.exists(${JSON.stringify(file)}): time.sleep(0.01)
print("seen")`;
  const first = run(waits);
  const second = await run(`import json; print(hasattr(json, "left")); open(${JSON.stringify(file)}, "w")`);
  assert.equal(second.stdout, 'False\n');
  assert.equal((await first).stdout, 'seen\n');
});
