import type { Program } from '@graft/tf-graph';

/** The same program, in which an adapter that shares it finds its own variables under the unsuffixed names. */
export function withSuffix(program: Program, suffix: string): Program {
  const own = (name: string) => name + suffix;
  return {
    add: (variables, functions) => program.add(variables, functions),
    write: async (values) => {
      for await (const [name, data] of values) await program.write([[own(name), data]]);
    },
    fill: async (fillings) => {
      for await (const filling of fillings)
        await program.fill([{ ...filling, names: filling.names.map(own) }]);
    },
    read: (names) => {
      const values = program.read(names.map(own));
      return new Map(names.map((name) => [name, values.get(own(name))!]));
    },
    prepare: (fn) => program.prepare(fn),
    run: (fn, feeds) => program.run(fn, feeds),
    close: () => program.close(),
  };
}
