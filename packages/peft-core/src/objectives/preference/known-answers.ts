/** The pairs of a run under the model before training. */
export interface ReferenceFigures {
  /** Share of pairs whose chosen answer is more probable than the rejected one. */
  preferred: number;
  /** Mean log-probability per token of chosen answers. */
  logp: number;
}

const leastPreferred = 0.8;
/** A geometric mean of the probabilities of a hundredth: lies between models that know the form of answers and those that do not (docs/auto.md). */
const leastLogp = Math.log(0.01);

/** True where a model gives the chosen answers already, or nearly so: it loses them at the learning rate that others need. */
export const knowsAnswers = ({ preferred, logp }: ReferenceFigures): boolean =>
  preferred >= leastPreferred && logp >= leastLogp;
