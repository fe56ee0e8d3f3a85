// Serves an Express application on loopback and prints one JSON line when it answers.
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
import type { Express } from "express";

export function serve(app: Express): void {
  const { values } = parseArgs({ options: { port: { type: "string", default: "9000" } } });
  const server = app.listen(Number(values.port), "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo;
    console.log(JSON.stringify({ url: `http://127.0.0.1:${port}/mcp` }));
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      server.close(() => process.exit(0));
      server.closeAllConnections();
    });
  }
}
