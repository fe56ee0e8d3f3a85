import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { resourceId, type TestIssuer } from "./issuer.js";
import { errorOf, eventually, World } from "./world.js";

const feedPath = `/i/acme/resources/${resourceId}/revocations`;

describe("the feed", () => {
  test("revokes grants, users, organizations and clients", async (t) => {
    for (const ended of [
      { grants: ["grt_1"] },
      { users: ["usr_ann"] },
      { organizations: ["org_globex"] },
      { clients: ["cli_claude"] },
    ]) {
      const w = await World.start(t, "fetch");
      const token = await w.token("data:read");
      assert.equal((await w.tool(token, "read_data")).status, 200);
      w.issuer.change({ ended });
      await eventually("it bites", async () => (await w.tool(token, "read_data")).status === 401);
      const a = await w.call("POST", "/mcp", { token, body: "not even JSON" });
      assert.equal(a.status, 401); // before anything about the body
      assert.match(a.headers["www-authenticate"] ?? "", /^Bearer error="invalid_token"/);
      assert.equal((await w.call("GET", "/mcp", { token })).status, 401);
      const other = { sub: "usr_bob", org_id: "org_x", client_id: "cli_x", grant_id: "grt_2" };
      assert.equal((await w.tool(await w.token("data:read", other), "read_data")).status, 200);
    }
  });

  test("stops hosts, users, organizations and the server", async (t) => {
    for (const [kind, value] of [
      ["host", "claude-code"],
      ["user", "usr_ann"],
      ["organization", "org_globex"],
      ["server", resourceId],
    ] as const) {
      const w = await World.start(t, "fetch");
      const token = await w.token("data:read", { host: "claude-code" });
      w.issuer.change({ stops: [{ kind, value }] });
      await eventually("it bites", async () => (await w.tool(token, "read_data")).body.includes("-32013"));
      const call = await w.tool(token, "read_data");
      assert.equal(call.status, 200);
      assert.equal(call.headers["www-authenticate"], undefined);
      assert.equal(errorOf(call).id, 1);
      const init = await w.call("POST", "/mcp", {
        token,
        body: '{"jsonrpc":"2.0","id":"i","method":"initialize","params":{}}',
      });
      assert.equal(errorOf(init).code, -32013);
      for (const a of [
        await w.call("GET", "/mcp", { token }),
        await w.call("DELETE", "/mcp", { token }),
        await w.call("POST", "/mcp", { token, body: '{"jsonrpc":"2.0","method":"notifications/initialized"}' }),
      ]) {
        assert.equal(a.status, 403);
        assert.match(a.body, /"error":"access_stopped"/);
        assert.equal(a.headers["www-authenticate"], undefined);
      }
      w.issuer.change({ stops: [] });
      await eventually("it is lifted", async () => !(await w.tool(token, "read_data")).body.includes("-32013"));
    }
  });

  test("stops one tool on that call only", async (t) => {
    const w = await World.start(t, "fetch");
    const token = await w.token("data:read data:write");
    w.issuer.change({ stops: [{ kind: "tool", value: "write_data" }] });
    await eventually("it bites", async () => (await w.tool(token, "write_data")).body.includes("-32013"));
    assert.equal((await w.tool(token, "read_data")).status, 200);
  });

  const ways: Record<string, (is: TestIssuer) => void> = {
    "by long-poll where there are no streams": (is) => {
      is.streams = false;
    },
    "by long-poll where streams are refused": (is) => {
      is.override = (req, res) => req.headers.accept === "text/event-stream" && Boolean(res.writeHead(406).end());
    },
    "by long-poll where a stream ends at once": (is) => {
      is.override = (req, res) =>
        req.headers.accept === "text/event-stream" &&
        Boolean(res.writeHead(200, { "Content-Type": "text/event-stream" }).end());
    },
  };
  for (const [name, spoil] of Object.entries(ways)) {
    test(`arrives ${name}`, async (t) => {
      const w = await World.start(t, "fetch", {}, spoil);
      const token = await w.token("data:read");
      assert.equal((await w.tool(token, "read_data")).status, 200);
      for (const grants of [["grt_1"], [], ["grt_1"]]) {
        w.issuer.change({ ended: { grants } });
        await eventually(
          "it bites",
          async () => ((await w.tool(token, "read_data")).status === 401) === grants.length > 0,
        );
      }
    });
  }

  test("is resumed after the issuer was away, from where it was", async (t) => {
    const w = await World.start(t, "fetch");
    const token = await w.token("data:read");
    await eventually("a stream is open", () => w.issuer.open.size > 0);
    const back = w.issuer.goDown();
    w.issuer.change({ ended: { grants: ["grt_1"] } });
    await eventually("it is noticed", () => w.log.count("the feed of revocations cannot be read") > 0);
    assert.equal((await w.tool(token, "read_data")).status, 200);
    back();
    await eventually("it bites", async () => (await w.tool(token, "read_data")).status === 401);
    assert.equal(w.log.count("the feed of revocations can be read again"), 1);
  });

  const refused: Record<string, (is: TestIssuer) => void> = {
    "other issuer": (is) => {
      is.spoilFeed = (b) => {
        b["iss"] = "https://evil.example";
      };
    },
    "other resource": (is) => {
      is.spoilFeed = (b) => {
        b["sub"] = "res_globex";
      };
    },
    expired: (is) => {
      is.spoilFeed = (b) => {
        b["iat"] = is.clock.seconds - 4000;
        b["exp"] = is.clock.seconds - 3600;
      };
    },
    "without expiry": (is) => {
      is.spoilFeed = (b) => {
        b["exp"] = undefined;
      };
    },
    "expires before it was signed": (is) => {
      is.spoilFeed = (b) => {
        b["exp"] = b["iat"];
      };
    },
    "from the future": (is) => {
      is.spoilFeed = (b) => {
        b["iat"] = is.clock.seconds + 3600;
        b["exp"] = is.clock.seconds + 7200;
      };
    },
    "a token": (is) => {
      is.feedType = "at+jwt";
    },
    "no feed in it": (is) => {
      is.spoilFeed = (b) => {
        b["feed"] = {};
      };
    },
    "no sequence": (is) => {
      is.spoilFeed = (b) => {
        b["feed"] = { seq: -1, revision: 1, ended: {} };
      };
    },
    "lower sequence": (is) => {
      is.feed.seq = 0;
    },
  };
  for (const [name, spoil] of Object.entries(refused)) {
    test(`is refused: ${name}`, async (t) => {
      for (const streams of [true, false]) {
        const w = await World.start(t, "fetch", {}, (is) => {
          is.streams = streams;
        });
        const token = await w.token("data:read");
        w.issuer.feed = { seq: w.issuer.feed.seq, revision: 1, ended: { grants: ["grt_1"] } };
        w.issuer.feed.seq = 2;
        spoil(w.issuer);
        w.issuer.tell();
        await eventually("it is noticed", () => w.log.count("going on with the last one") > 0);
        assert.equal((await w.tool(token, "read_data")).status, 200, "what is refused changes nothing");
        w.issuer.spoilFeed = undefined;
        w.issuer.feedType = "ostiary-revocations+jwt";
        w.issuer.change({ seq: 3, ended: { grants: ["grt_1"] } });
        await eventually("a good one is taken", async () => (await w.tool(token, "read_data")).status === 401);
      }
    });
  }

  test("never goes back, also not over a new connection", async (t) => {
    const w = await World.start(t, "fetch");
    const token = await w.token("data:read");
    w.issuer.change({ seq: 7, ended: { grants: ["grt_1"] } });
    await eventually("it bites", async () => (await w.tool(token, "read_data")).status === 401);
    w.issuer.feed = { seq: 6, revision: 1, ended: {} };
    w.issuer.open.forEach((res) => res.destroy());
    await eventually("it is noticed", () => w.log.count("goes back from sequence 7 to 6") > 0);
    assert.equal((await w.tool(token, "read_data")).status, 401);
  });

  test("brings a new revision at once", async (t) => {
    const w = await World.start(t, "fetch", { pollEvery: 60_000 }); // polls alone would come too late
    const token = await w.token("data:read");
    w.issuer.publish((doc) => {
      (doc.tools ?? {})["write_data"] = { scopes: ["data:read"], match: "all" };
    });
    await eventually("the new map is in force", async () => (await w.tool(token, "write_data")).status === 200);
  });

  test("silence ends what does most harm first", async (t) => {
    const w = await World.start(t, "fetch");
    const token = await w.token("data:read data:admin", { exp: w.issuer.clock.seconds + 10 * 86400 });
    const body = async (tool: string): Promise<string> => {
      const a = await w.tool(token, tool);
      if (a.status === 503) {
        assert.equal(a.headers["retry-after"], "30");
        assert.equal(errorOf(a).code, -32014);
        assert.equal(a.headers["www-authenticate"], undefined);
      }
      return `${tool} ${a.status}`;
    };
    const all = async (): Promise<string[]> => [
      await body("read_data"),
      await body("write_data"),
      await body("delete_data"),
    ];
    const back = w.issuer.goDown();
    assert.deepEqual(await all(), ["read_data 200", "write_data 200", "delete_data 200"]);
    w.issuer.clock.advance(310);
    assert.deepEqual(await all(), ["read_data 200", "write_data 200", "delete_data 503"]);
    w.issuer.clock.advance(3600);
    assert.deepEqual(await all(), ["read_data 200", "write_data 503", "delete_data 503"]);
    w.issuer.clock.advance(86400);
    assert.deepEqual(await all(), ["read_data 503", "write_data 503", "delete_data 503"]);
    back();
    await eventually("contact is back", async () => (await body("delete_data")) === "delete_data 200");
  });

  test("a feed that never comes ends calls by their risk too", async (t) => {
    const w = await World.start(t, "fetch", {}, (is) => {
      is.override = (req, res) => (req.url ?? "").startsWith(feedPath) && Boolean(res.writeHead(404).end());
    });
    const token = await w.token("data:read data:admin");
    assert.equal((await w.tool(token, "delete_data")).status, 200);
    w.issuer.clock.advance(310);
    assert.equal((await w.tool(token, "delete_data")).status, 503);
    assert.equal((await w.tool(token, "read_data")).status, 200);
    assert.equal(w.log.count("there is no feed of revocations yet"), 1);
  });

  test("a new policy is no sign of contact: what was revoked comes by the feed alone", async (t) => {
    const w = await World.start(t, "fetch", { pollEvery: 20 }, (is) => {
      is.override = (req, res) => (req.url ?? "").startsWith(feedPath) && Boolean(res.writeHead(404).end());
    });
    const token = await w.token("data:read data:admin");
    w.issuer.clock.advance(310);
    w.issuer.publish((doc) => {
      (doc.tools ?? {})["purge_data"] = { scopes: ["data:admin"], match: "all" };
    });
    await eventually(
      "the new map is in force",
      async () => !(await w.tool(token, "purge_data")).body.includes("-32602"),
    );
    assert.equal((await w.tool(token, "purge_data")).status, 503);
    assert.equal((await w.tool(token, "delete_data")).status, 503);
  });

  test("a poll that does not wait does not become a storm", async (t) => {
    const w = await World.start(t, "fetch", { backoff: { min: 100, max: 100 } }, (is) => {
      is.override = (req, res) => {
        if (!(req.url ?? "").startsWith(feedPath)) {
          return false;
        }
        void is.signedFeed().then((feed) => res.writeHead(200, { "Content-Type": "application/jwt" }).end(feed));
        return true;
      };
    });
    const before = w.issuer.fetched(feedPath);
    await new Promise((resolve) => setTimeout(resolve, 350));
    assert.ok(
      w.issuer.fetched(feedPath) - before < 10,
      `${w.issuer.fetched(feedPath) - before} requests in a third of a second`,
    );
  });
});
