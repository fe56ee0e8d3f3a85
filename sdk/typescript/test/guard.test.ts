import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";

import { callBody, errorOf, exchange, frameworks, paramsOf, rawHead, World } from "./world.js";

const metadata = "https://mcp.acme.example/.well-known/oauth-protected-resource/mcp";

for (const framework of frameworks) {
  describe(`a server behind ${framework}`, { concurrency: 4 }, () => {
    test("tells the first request where to go", async (t) => {
      const w = await World.start(t, framework);
      const want = `Bearer resource_metadata="${metadata}", scope="data:read data:list"`;
      for (const method of ["GET", "HEAD", "POST", "DELETE"]) {
        const a = await w.call(method, "/mcp");
        assert.equal(a.status, 401);
        assert.equal(a.headers["www-authenticate"], want);
        assert.equal(a.headers["cache-control"], "no-store");
        assert.equal(a.headers["access-control-allow-origin"], "*");
        assert.equal(a.headers.vary, "Authorization");
      }
      assert.equal(w.seen.length, 0);
    });

    test("asks for no scope where there is no baseline", async (t) => {
      const w = await World.start(t, framework, {}, (is) => {
        is.doc.scopes = { "data:read": { risk: "read" } };
      });
      assert.equal(paramsOf((await w.tool(undefined, "read_data")).headers["www-authenticate"]).has("scope"), false);
      const prm = await w.call("GET", "/.well-known/oauth-protected-resource/mcp");
      assert.equal(prm.body.includes("scopes_supported"), false);
    });

    test("names everything a call needs", async (t) => {
      const w = await World.start(t, framework);
      const a = await w.tool(await w.token("data:read"), "merge_data");
      assert.equal(a.status, 403);
      assert.equal(
        a.headers["www-authenticate"],
        `Bearer error="insufficient_scope", scope="data:read data:write", resource_metadata="${metadata}", ` +
          'error_description="This call needs the permission data:read, data:write"',
      );
      const error = errorOf(a);
      assert.equal(error.id, 1);
      assert.equal(error.code, -32010);
      assert.deepEqual(error.data, { error: "insufficient_scope", scope: "data:read data:write" });
      assert.equal(w.seen.length, 0);
      assert.equal((await w.tool(await w.token("data:read data:admin"), "merge_data")).status, 200);
    });

    test("says it in the result to ChatGPT", async (t) => {
      const w = await World.start(t, framework);
      const a = await w.tool(await w.token("data:read", { host: "chatgpt" }), "write_data");
      assert.equal(a.status, 200);
      const { result } = JSON.parse(a.body) as { result: { isError: boolean; _meta: Record<string, string[]> } };
      assert.equal(result.isError, true);
      assert.equal(paramsOf(result._meta["mcp/www_authenticate"]?.[0]).get("scope"), "data:write");
      assert.equal(w.seen.length, 0);
    });

    test("answers for unknown tools, without a challenge", async (t) => {
      const w = await World.start(t, framework);
      const token = await w.token("data:read data:admin");
      for (const name of ["unmapped", "never_heard_of", "READ_DATA", "read_data ", "read_data\u0000", "réad"]) {
        const body = JSON.stringify({ jsonrpc: "2.0", id: "a", method: "tools/call", params: { name } });
        const a = await w.call("POST", "/mcp", { token, body });
        assert.equal(a.status, 200, name);
        assert.equal(errorOf(a).code, -32602, name);
        assert.equal(errorOf(a).id, "a");
        assert.equal(a.headers["www-authenticate"], undefined);
      }
      const silent = await w.call("POST", "/mcp", {
        token,
        body: '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"x"}}',
      });
      assert.equal(silent.status, 400); // nobody to answer, but not accepted either
      assert.equal(w.seen.length, 0);
      assert.equal(w.log.count('WARN call denied {"kind":"tool","name":"unmapped"'), 1);
    });

    test("decides about calls without an id too", async (t) => {
      const w = await World.start(t, framework);
      const body = '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"delete_data"}}';
      assert.equal((await w.call("POST", "/mcp", { token: await w.token("data:read"), body })).status, 403);
      assert.equal(w.seen.length, 0);
    });

    test("denies a batch whole", async (t) => {
      const w = await World.start(t, framework);
      const token = await w.token("data:read");
      const batch = (...tools: string[]): string =>
        `[${tools.map((tool, i) => callBody(i, tool)).join(",")},{"jsonrpc":"2.0","method":"notifications/initialized"}]`;
      assert.equal((await w.call("POST", "/mcp", { token, body: batch("read_data", "read_data") })).status, 200);
      const scopes = await w.call("POST", "/mcp", {
        token,
        body: batch("read_data", "write_data", "delete_data", "merge_data"),
      });
      assert.equal(scopes.status, 403);
      assert.equal(paramsOf(scopes.headers["www-authenticate"]).get("scope"), "data:write data:delete data:read");
      const unknown = await w.call("POST", "/mcp", { token, body: batch("read_data", "unmapped", "write_data") });
      assert.equal(unknown.status, 200);
      const answers = JSON.parse(unknown.body) as { id: number; error: { code: number } }[];
      assert.deepEqual(
        answers.map((a) => [a.id, a.error.code]),
        [
          [0, -32011],
          [1, -32602],
          [2, -32011],
        ],
      );
      assert.equal(w.seen.length, 1);
    });

    test("passes other methods on, byte for byte", async (t) => {
      const w = await World.start(t, framework);
      const token = await w.token("");
      for (const body of [
        '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{}}}',
        '{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}',
        '{"jsonrpc":"2.0","method":"notifications/initialized"}',
        ' {"jsonrpc":"2.0","id":"x","method":"ping","params":null}\n',
        '{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"file:///a"}}',
        '{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"é"}}',
        '{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{}}',
        '{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{}}',
        '{"jsonrpc":"2.0","id":4,"result":{"action":"accept"}}',
        '[{"jsonrpc":"2.0","id":4,"result":{}},{"jsonrpc":"2.0","id":5,"method":"ping"}]',
      ]) {
        assert.equal((await w.call("POST", "/mcp", { token, body })).status, 200, body);
        assert.equal(w.last.body, body);
        if (framework === "express") {
          assert.deepEqual(w.last.parsed, JSON.parse(body));
        }
      }
    });

    test("takes no token from the query", async (t) => {
      const w = await World.start(t, framework);
      const token = await w.token("data:read");
      for (const query of [
        `access_token=${token}`,
        "a=b&access_token=x",
        "%61ccess_token=x",
        "ACCESS_TOKEN=x",
        "a;access_token=x",
        "access_token",
        "+access_token=x",
      ]) {
        assert.equal((await w.call("POST", "/mcp?" + query, { body: callBody(1, "read_data") })).status, 400, query);
        assert.equal(
          (await w.call("POST", "/mcp?" + query, { token, body: callBody(1, "read_data") })).status,
          400,
          query,
        );
      }
      assert.equal((await w.call("POST", "/mcp?tenant=1", { token, body: callBody(1, "read_data") })).status, 200);
      assert.match(w.last.url, /\?tenant=1$/);
    });

    test("holds headers against the body", async (t) => {
      const w = await World.start(t, framework);
      const token = await w.token("data:read data:admin");
      const read = callBody(7, "read_data");
      const uri = '{"jsonrpc":"2.0","id":7,"method":"resources/read","params":{"uri":"file:///a"}}';
      const task = '{"jsonrpc":"2.0","id":7,"method":"tasks/get","params":{"taskId":"t"}}';
      const cases: [string, string, string[], number][] = [
        ["both right", read, ["Mcp-Method: tools/call", "Mcp-Name: read_data"], 200],
        ["method only", read, ["Mcp-Method: tools/call"], 200],
        ["encoded name", read, ["Mcp-Method: tools/call", "Mcp-Name: =?base64?cmVhZF9kYXRh?="], 200],
        ["any case of the header", read, ["mCP-meTHod: tools/call"], 200],
        ["uri", uri, ["Mcp-Method: resources/read", "Mcp-Name: file:///a"], 200],
        ["name of another kind", task, ["Mcp-Method: tasks/get", "Mcp-Name: t"], 200],
        ["other tool", read, ["Mcp-Method: tools/call", "Mcp-Name: delete_data"], 400],
        ["body runs another tool", callBody(7, "delete_data"), ["Mcp-Method: tools/call", "Mcp-Name: read_data"], 400],
        ["other tool, name alone", read, ["Mcp-Name: delete_data"], 400],
        ["other method", read, ["Mcp-Method: tools/list"], 400],
        ["body calls, header pings", callBody(7, "delete_data"), ["Mcp-Method: ping"], 400],
        ["method in capitals", read, ["Mcp-Method: Tools/Call"], 400],
        ["two methods", read, ["Mcp-Method: tools/call", "mcp-method: tools/list"], 400],
        ["two names", read, ["Mcp-Name: read_data", "mcp-name: delete_data"], 400],
        ["bad encoding", read, ["Mcp-Name: =?base64?***?="], 400],
        ["encoded other", read, ["Mcp-Name: =?base64?ZGVsZXRlX2RhdGE=?="], 400],
        ["empty method", read, ["Mcp-Method: "], 400],
        ["batch", `[${read}]`, ["Mcp-Method: tools/call"], 400],
        ["response", '{"jsonrpc":"2.0","id":7,"result":{}}', ["Mcp-Method: tools/call"], 400],
      ];
      for (const [name, body, headers, status] of cases) {
        const before = w.seen.length;
        const a = await w.call("POST", "/mcp", { token, body, headers });
        assert.equal(a.status, status, name);
        if (status !== 200) {
          assert.equal(errorOf(a).code, -32020, name);
          assert.equal(w.seen.length, before, name);
        }
      }
    });

    test("reads no other media type or encoding", async (t) => {
      const w = await World.start(t, framework);
      const token = await w.token("data:read");
      const read = callBody(1, "read_data");
      const zipped = gzipSync(callBody(1, "delete_data"));
      const cases: [string, string | Uint8Array, string[], number][] = [
        ["charset utf-8", read, ["Content-Type: application/json; charset=UTF-8"], 200],
        ["another parameter", read, ['Content-Type: application/json; profile="a;b"; charset="utf-8"'], 200],
        ["two charsets", read, ["Content-Type: application/json; charset=utf-8; charset=utf-16"], 415],
        ["identity", read, ["Content-Encoding: identity"], 200],
        ["text", read, ["Content-Type: text/plain"], 415],
        ["none", read, ["Content-Type: "], 415],
        ["form", "access_token=" + token, ["Content-Type: application/x-www-form-urlencoded"], 415],
        ["two types", read, ["Content-Type: application/json", "content-type: text/plain"], 415],
        ["utf-16", read, ["Content-Type: application/json; charset=utf-16"], 415],
        ["utf-7", read, ["Content-Type: application/json; charset=utf-7"], 415],
        ["gzip", zipped, ["Content-Encoding: gzip"], 415],
        ["gzip, said oddly", zipped, ["Content-Encoding: identity", "content-encoding: gzip"], 415],
        ["gzip without a word", zipped, [], 400],
        ["too large", `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"${"a".repeat(4 * 2 ** 20)}"}}`, [], 413],
        ["nothing", "", [], 400],
      ];
      for (const [name, body, headers, status] of cases) {
        assert.equal((await w.call("POST", "/mcp", { token, body, headers })).status, status, name);
      }
      assert.equal(w.seen.length, 3);
    });

    test("bounds a body that does not say its size", async (t) => {
      const w = await World.start(t, framework, { maxBody: 1000 });
      const head = await rawHead(w, "Transfer-Encoding: chunked");
      const body = `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"${"a".repeat(5000)}"}}`;
      assert.match(await exchange(w, `${head}${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`), /^HTTP\/1\.1 413 /);
      assert.equal(w.seen.length, 0);
    });

    test("does not wait for a body for ever", async (t) => {
      const w = await World.start(t, framework, { bodyTimeout: 50 });
      assert.match(await exchange(w, (await rawHead(w, "Content-Length: 500")) + "{"), /^HTTP\/1\.1 408 /);
      assert.equal(w.seen.length, 0);
    });

    test("does not take half a body", async (t) => {
      const w = await World.start(t, framework);
      await exchange(w, (await rawHead(w, "Content-Length: 500")) + callBody(1, "read_data"), true);
      assert.equal((await w.tool(await w.token("data:read"), "read_data")).status, 200);
      assert.equal(w.seen.length, 1);
    });

    test("takes no smuggled request", async (t) => {
      const w = await World.start(t, framework, { bodyTimeout: 100 }); // an encoding nobody knows is read until the end
      const hidden = "POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
      for (const framing of [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Content-Length: 5\r\nContent-Length: 50\r\n\r\n{}   ",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
      ]) {
        const head = (await rawHead(w, "X: y")).replace("X: y\r\n\r\n", "");
        assert.doesNotMatch(await exchange(w, head + framing + hidden), /^HTTP\/1\.1 [23]/, framing);
      }
      assert.equal(w.seen.length, 0);
    });

    test("lets nobody say what only Ostiary says", async (t) => {
      const w = await World.start(t, framework);
      const headers = [
        "Ostiary-User: usr_root",
        "Ostiary-Scopes: data:delete",
        "Ostiary_User: usr_root",
        "X-HTTP-Method-Override: DELETE",
        "X_Http_Method_Override: DELETE",
        "Origin: https://hosts.example",
        "Proxy-Authorization: Basic x",
        "X-Kept: yes",
      ];
      const a = await w.call("POST", "/mcp", {
        token: await w.token("data:read"),
        body: callBody(1, "read_data"),
        headers,
      });
      assert.equal(a.status, 200);
      const names = [...w.last.headers.keys()];
      assert.deepEqual(
        names.filter((n) => n.startsWith("ostiary") || n.includes("_") || /authorization|override|origin/.test(n)),
        [],
      );
      assert.equal(w.last.headers.get("x-kept"), "yes");
    });

    test("says who calls", async (t) => {
      const w = await World.start(t, framework);
      await w.tool(await w.token("data:read  data:list", { host: "claude-code" }), "read_data");
      const { grant } = w.last;
      assert.equal(grant, w.last.requestGrant);
      assert.ok(grant);
      assert.deepEqual(
        [grant.grantId, grant.user, grant.organization, grant.client, grant.host, grant.issuer],
        ["grt_1", "usr_ann", "org_globex", "cli_claude", "claude-code", w.issuer.url],
      );
      assert.deepEqual(grant.scopes, ["data:read", "data:list"]);
      await w.tool(await w.token("data:read", { org_id: undefined, grant_id: undefined }), "read_data");
      assert.equal(w.last.grant?.organization, undefined);
      assert.equal(w.last.grant?.grantId, undefined);
    });

    test("keeps concurrent callers apart", async (t) => {
      const w = await World.start(t, framework);
      const tokens = await Promise.all(Array.from({ length: 20 }, (_, i) => w.token("data:read", { sub: `usr_${i}` })));
      w.reply = (seen) => ({ headers: { "Content-Type": "application/json" }, body: JSON.stringify(seen.grant?.user) });
      const answers = await Promise.all(tokens.map((token) => w.tool(token, "read_data")));
      assert.deepEqual(
        answers.map((a) => a.body),
        tokens.map((_, i) => `"usr_${i}"`),
      );
    });

    test("takes bodies with POST only", async (t) => {
      const w = await World.start(t, framework);
      const token = await w.token("data:read");
      for (const method of framework === "express" ? ["GET", "DELETE"] : ["DELETE"]) {
        // fetch has no body in a GET: it never gets through
        assert.equal((await w.call(method, "/mcp", { token, body: callBody(1, "delete_data") })).status, 400);
        assert.equal((await w.call(method, "/mcp", { token })).status, 200);
        assert.equal(w.last.method, method);
      }
      for (const method of ["PUT", "PATCH", "PROPFIND"]) {
        const a = await w.call(method, "/mcp", { token, body: callBody(1, "delete_data") });
        assert.equal(a.status, 405, method);
        assert.equal(a.headers.allow, "GET, HEAD, POST, DELETE, OPTIONS");
      }
    });

    test("answers browsers before they have a token", async (t) => {
      const w = await World.start(t, framework);
      const headers = [
        "Origin: https://hosts.example",
        "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: authorization,mcp-param-region,x-evil,mcp-param-bad name",
      ];
      for (const path of ["/mcp", "/mcp/", "/.well-known/oauth-protected-resource/mcp"]) {
        const a = await w.call("OPTIONS", path, { headers });
        assert.equal(a.status, 204);
        assert.deepEqual(a.headers["access-control-allow-headers"]?.split(", "), [
          "Authorization",
          "Content-Type",
          "Accept",
          "MCP-Protocol-Version",
          "Mcp-Method",
          "Mcp-Name",
          "Mcp-Session-Id",
          "Last-Event-ID",
          "mcp-param-region",
        ]);
        assert.equal(a.headers["access-control-allow-origin"], "*");
        assert.equal(a.headers["access-control-allow-credentials"], undefined);
      }
      assert.equal(w.seen.length, 0);
    });

    test("has the last word on CORS and caches", async (t) => {
      const w = await World.start(t, framework);
      w.reply = () => ({
        headers: {
          "Content-Type": "application/json",
          "Access-Control-Allow-Origin": "https://evil.example",
          "Access-Control-Allow-Credentials": "true",
          "Cache-Control": "public, max-age=60",
        },
        body: "{}",
      });
      const a = await w.tool(await w.token("data:read"), "read_data");
      assert.equal(a.headers["access-control-allow-origin"], "*");
      assert.equal(a.headers["access-control-allow-credentials"], undefined);
      assert.equal(a.headers["cache-control"], "no-store");
      assert.equal(a.headers.vary, "Authorization");
    });

    test("lets nobody use somebody else's session", async (t) => {
      const w = await World.start(t, framework);
      w.reply = () => ({
        headers: { "Content-Type": "application/json", "Mcp-Session-Id": "session-of-ann" },
        body: "{}",
      });
      const ann = await w.token("data:read");
      const init = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}';
      assert.equal(
        (await w.call("POST", "/mcp", { token: ann, body: init })).headers["mcp-session-id"],
        "session-of-ann",
      );
      const headers = ["Mcp-Session-Id: session-of-ann"];
      assert.equal((await w.call("POST", "/mcp", { token: ann, body: callBody(1, "read_data"), headers })).status, 200);
      for (const claim of [{ sub: "usr_bob" }, { org_id: "org_other" }, { client_id: "cli_other" }]) {
        const token = await w.token("data:read", claim);
        assert.equal((await w.call("POST", "/mcp", { token, body: callBody(1, "read_data"), headers })).status, 404);
        assert.equal((await w.call("GET", "/mcp", { token, headers })).status, 404);
        assert.equal((await w.call("DELETE", "/mcp", { token, headers })).status, 404);
      }
      // Two sessions in one request: the guard would look at one, the server might take the other.
      const two = ["Mcp-Session-Id: session-of-bob", "mcp-session-id: session-of-ann"];
      const bob = await w.token("data:read", { sub: "usr_bob" });
      assert.equal(
        (await w.call("POST", "/mcp", { token: bob, body: callBody(1, "read_data"), headers: two })).status,
        404,
      );
    });

    test("never logs a token", async (t) => {
      const w = await World.start(t, framework);
      const token = await w.token("data:read");
      await w.tool(token, "delete_data");
      await w.tool(token + "x", "read_data");
      await w.call("POST", "/mcp?access_token=" + token);
      await w.call("POST", "/mcp", { token, body: `{"a":1,"a":"${token}"}` });
      assert.ok(w.log.lines.length >= 3);
      const secret = [token.slice(-20), token.split(".")[1] ?? ""];
      assert.deepEqual(
        w.log.lines.filter((line) => secret.some((s) => line.includes(s))),
        [],
      );
    });
  });
}
