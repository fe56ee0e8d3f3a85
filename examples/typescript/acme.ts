// Four of Acme Data's tools on the official SDK, over generated data.
import { McpServer, type ServerContext } from "@modelcontextprotocol/server";
import { z } from "zod";

const accounts = Array.from({ length: 24 }, (_, i) => ({
  account_id: `acc_${String(i + 1).padStart(3, "0")}`,
  name: `${["Copper", "Juniper", "Quarry", "Solace"][i % 4]} ${["Foods", "Energy", "Health"][i % 3]}`,
  country: ["DE", "FR", "AT", "NL", "SE"][i % 5],
  health: 0.2 + ((i * 37) % 80) / 100,
}));
const segments = new Map([
  ["seg_risk", "At risk"],
  ["seg_dach", "DACH"],
]);
let signals = 0;

const reads = { readOnlyHint: true, idempotentHint: true, openWorldHint: false };
const text = (value: unknown) => [{ type: "text" as const, text: JSON.stringify(value) }];
const answer = (value: Record<string, unknown>) => ({ content: text(value), structuredContent: value });
const mistake = (words: string) => ({ content: text(words), isError: true });

/** Makes a server; the SDK does so for each request. who says which user calls. */
export function build(who: (context: ServerContext) => string): McpServer {
  const server = new McpServer({ name: "acme-data", title: "Acme Data", version: "1.0.0" });

  server.registerTool(
    "search_accounts",
    {
      title: "Search accounts",
      description: "Finds customer accounts by name or country.",
      inputSchema: z.object({ text: z.string().default(""), country: z.string().default("") }),
      annotations: reads,
    },
    ({ text: part, country }) => {
      const found = accounts.filter(
        (a) => a.name.toLowerCase().includes(part.toLowerCase()) && (country === "" || a.country === country),
      );
      return answer({ accounts: found, total: found.length });
    },
  );

  server.registerTool(
    "analyze_profile",
    {
      title: "Analyze a profile",
      description: "Summarizes how one account is doing.",
      inputSchema: z.object({ account_id: z.string() }),
      annotations: reads,
    },
    ({ account_id }) => {
      const account = accounts.find((a) => a.account_id === account_id);
      if (!account) return mistake(`There is no account ${account_id}; search_accounts finds them.`);
      return answer({ account, churn_risk: account.health < 0.45 ? "high" : "low" });
    },
  );

  server.registerTool(
    "route_signal",
    {
      title: "Route a signal",
      description: "Sends a signal about an account to a team outside the data platform.",
      inputSchema: z.object({ account_id: z.string(), kind: z.enum(["churn_risk", "upsell", "support"]) }),
      annotations: { readOnlyHint: false, destructiveHint: false, openWorldHint: true },
    },
    ({ account_id, kind }, context) => {
      if (!accounts.some((a) => a.account_id === account_id)) return mistake(`There is no account ${account_id}.`);
      signals += 1;
      const signal_id = `sig_${String(signals).padStart(4, "0")}`;
      return answer({ signal_id, account_id, kind, requested_by: who(context) });
    },
  );

  server.registerTool(
    "delete_segment",
    {
      title: "Delete a segment",
      description: "Deletes a segment for good.",
      inputSchema: z.object({ segment_id: z.string() }),
      annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
    },
    ({ segment_id }) => {
      const name = segments.get(segment_id);
      if (name === undefined) return mistake(`There is no segment ${segment_id}.`);
      segments.delete(segment_id);
      return answer({ deleted: name, segments_left: segments.size });
    },
  );

  return server;
}
