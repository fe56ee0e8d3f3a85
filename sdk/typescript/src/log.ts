/**
 * Where the SDK says what an operator should know. Tokens, secrets and addresses that may carry one are never in it.
 */
export interface Logger {
  info(message: string, facts?: Record<string, unknown>): void;
  warn(message: string, facts?: Record<string, unknown>): void;
  error(message: string, facts?: Record<string, unknown>): void;
}

/** Says what needs attention on the console and keeps quiet about the rest. */
export const consoleLogger: Logger = {
  info: () => undefined,
  warn: (message, facts = {}) => {
    console.warn(`ostiary: ${message}`, facts);
  },
  error: (message, facts = {}) => {
    console.error(`ostiary: ${message}`, facts);
  },
};

/** The text of an error, which may be anything. */
export function reasonOf(e: unknown): string {
  if (!(e instanceof Error)) {
    return String(e);
  }
  // fetch says "fetch failed" and keeps why in the cause.
  return e.cause instanceof Error && e.cause.message !== "" ? `${e.message}: ${e.cause.message}` : e.message;
}
