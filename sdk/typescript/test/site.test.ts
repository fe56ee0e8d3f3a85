import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { exchange, frameworks, World } from "./world.js";

for (const framework of frameworks) {
  describe(`metadata behind ${framework}`, { concurrency: 4 }, () => {
    test("serves the metadata of RFC 9728 and nothing else under /.well-known/", async (t) => {
      const w = await World.start(t, framework);
      const a = await w.call("GET", "/.well-known/oauth-protected-resource/mcp");
      assert.equal(a.status, 200);
      assert.deepEqual(JSON.parse(a.body), {
        resource: "https://mcp.acme.example/mcp",
        authorization_servers: [w.issuer.url],
        scopes_supported: ["data:read", "data:list"],
        bearer_methods_supported: ["header"],
        resource_name: "Acme Data",
      });
      assert.equal(a.headers["content-type"], "application/json");
      const token = await w.token("data:read");
      for (const path of ["", "/", "/other", "/mcp/x", "mcp", "/m%63p", "//mcp"]
        .map((p) => "/.well-known/oauth-protected-resource" + p)
        .concat([
          "/.well-known/oauth-authorization-server",
          "/.well-known/openid-configuration",
          "/.well-known/",
          "/.well-known/x",
        ])) {
        const missing = await w.call("GET", path, { token });
        assert.equal(missing.status, 404, path);
        assert.equal(missing.body, "");
      }
      assert.equal((await w.call("POST", "/.well-known/oauth-protected-resource/mcp", { body: "{}" })).status, 405);
      assert.equal(w.seen.length, 0);
    });

    test("answers aliases in their own spelling", async (t) => {
      const aliases = ["https://mcp.acme.example/mcp/", "https://old.acme.example/mcp", "https://acme.example"];
      const w = await World.start(t, framework, {}, (is) => {
        is.doc.resource.aliases = aliases;
      });
      const prm = "/.well-known/oauth-protected-resource";
      for (const [path, host, want] of [
        [prm + "/mcp", "", "https://mcp.acme.example/mcp"],
        [prm + "/mcp", "MCP.acme.example:443", "https://mcp.acme.example/mcp"],
        [prm + "/mcp/", "mcp.acme.example", "https://mcp.acme.example/mcp/"],
        [prm + "/mcp", "old.acme.example", "https://old.acme.example/mcp"],
        [prm + "/mcp/", "old.acme.example", "https://old.acme.example/mcp"],
        [prm + "/mcp", "evil.example", "https://mcp.acme.example/mcp"],
        [prm, "acme.example", "https://acme.example"],
        [prm + "/", "acme.example", "https://acme.example"],
      ] as const) {
        const raw = await exchange(
          w,
          `GET ${path} HTTP/1.1\r\nHost: ${host || "localhost"}\r\nConnection: close\r\n\r\n`,
        );
        assert.ok(raw.includes(`"resource":"${want}"`), `${path} at ${host}: ${raw}`);
      }
      // Tokens are minted for the identifier, never for an alias.
      assert.equal(
        (await w.tool(await w.token("data:read", { aud: "https://old.acme.example/mcp" }), "read_data")).status,
        401,
      );
    });
  });
}
