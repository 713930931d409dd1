export * from './budgets.ts';
export * from './check-usage.ts';
export * from './prices.ts';
export {
  type DayUse,
  readUsage,
  type UsageBucket,
  type UsagePage,
  type UsageQuery,
} from './read-usage.ts';
export { recordCompletion } from './record-usage.ts';
export { priceUnits } from './usage.ts';
