import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { describe, test } from "node:test";

import { exportJWK, generateKeyPair } from "jose";

import { NotReady, Ostiary, type OstiaryOptions } from "../src/index.js";
import { parseKeys } from "../src/issuer/keys.js";
import { resourceId, Signer, testDocument, TestIssuer } from "./issuer.js";
import { eventually, MemoryLog, World } from "./world.js";

const jwks = "/i/acme/jwks";
const policyPath = `/i/acme/resources/${resourceId}/policy`;
const feedPath = `/i/acme/resources/${resourceId}/revocations`;
const metadataPath = "/.well-known/oauth-authorization-server/i/acme";

describe("keys", () => {
  test("an unknown kid is fetched once for everybody", async (t) => {
    const w = await World.start(t, "fetch");
    const next = await Signer.make("key-2");
    w.issuer.keys.unshift(next);
    w.issuer.clock.advance(6);
    const before = w.issuer.fetched(jwks);
    const answers = await Promise.all(
      Array.from({ length: 40 }, async () => w.tool(await w.token("data:read"), "read_data")),
    );
    assert.deepEqual([...new Set(answers.map((a) => a.status))], [200]);
    assert.equal(w.issuer.fetched(jwks) - before, 1);
  });

  test("made-up kids do not reach the issuer", async (t) => {
    const w = await World.start(t, "fetch");
    const key = w.issuer.signer;
    const before = w.issuer.fetched(jwks);
    for (let i = 0; i < 30; i++) {
      const token = await new Signer(randomUUID(), key.alg, key.key, key.jwk).sign(w.issuer.claims("data:read"), {
        typ: "at+jwt",
      });
      assert.equal((await w.tool(token, "read_data")).status, 401);
    }
    assert.ok(w.issuer.fetched(jwks) - before <= 1);
  });

  test("survive an outage of the issuer", async (t) => {
    const w = await World.start(t, "fetch");
    const token = await w.token("data:read", { exp: w.issuer.clock.seconds + 86400 });
    const back = w.issuer.goDown();
    w.issuer.clock.advance(3600);
    for (let i = 0; i < 3; i++) {
      assert.equal((await w.tool(token, "read_data")).status, 200);
      w.issuer.clock.advance(6);
    }
    // A key nobody can look up is no reason to make the client throw its token away.
    const next = await Signer.make("key-2");
    const unknown = await w.issuer.token("data:read", {}, next);
    const a = await w.tool(unknown, "read_data");
    assert.equal(a.status, 503);
    assert.equal(a.headers["www-authenticate"], undefined);
    assert.equal(a.headers["retry-after"], "5");
    assert.equal(w.log.count("cannot be renewed, going on with those in memory"), 1);
    w.issuer.keys.push(next);
    back();
    await eventually("the new key is found", async () => {
      w.issuer.clock.advance(6);
      return (await w.tool(unknown, "read_data")).status === 200;
    });
  });

  test("one bad key does not spoil the set", async () => {
    const good = await Signer.make("good");
    const weak = await generateKeyPair("RS256", { modulusLength: 2048, extractable: true });
    const jwk = await exportJWK(weak.publicKey);
    const secretKey = { kty: "oct", k: "c2VjcmV0", kid: "secret", alg: "HS256" };
    const items = [
      { kty: "future", kid: "x" },
      null,
      "odd",
      { ...jwk, n: jwk.n?.slice(0, 171), kid: "weak" },
      { ...(await exportJWK((await Signer.make("")).key)), kid: "private" },
      secretKey,
      { ...good.jwk, kid: undefined },
      { ...good.jwk, kid: "" },
      { ...good.jwk, kid: "enc", use: "enc" },
      (await Signer.make("odd", "ES384")).jwk,
      { ...good.jwk, kid: "wrong", alg: "RS256" },
      { ...good.jwk, kid: "off", x: "AAAA" },
      good.jwk,
      (await Signer.make("good")).jwk,
    ];
    const keys = await parseKeys(Buffer.from(JSON.stringify({ keys: items })));
    assert.deepEqual([...keys.keys()], ["good"]);
    assert.equal(keys.get("good")?.alg, "ES256");
    await assert.rejects(parseKeys(Buffer.from('{"keys":[]}')), /no usable key/);
  });
});

describe("the start", () => {
  const cannot: Record<string, [(is: TestIssuer) => void, string]> = {
    "the issuer is down": [(is) => void is.goDown(), "metadata of the issuer: answered 502"],
    "another issuer answers": [
      (is) => {
        is.meta = (m) => {
          m["issuer"] = "https://evil.example";
        };
      },
      "names another issuer",
    ],
    "issuer with a slash": [
      (is) => {
        is.meta = (m) => {
          m["issuer"] = is.url + "/";
        };
      },
      "names another issuer",
    ],
    "no jwks_uri": [
      (is) => {
        is.meta = (m) => {
          m["jwks_uri"] = undefined;
        };
      },
      "no usable jwks_uri",
    ],
    "jwks_uri is a file": [
      (is) => {
        is.meta = (m) => {
          m["jwks_uri"] = "file:///etc/passwd";
        };
      },
      "no usable jwks_uri",
    ],
    "metadata is endless": [
      (is) => {
        is.meta = (m) => {
          m["x"] = "a".repeat(300_000);
        };
      },
      "more than 262144 bytes",
    ],
    "keys are elsewhere": [
      (is) => {
        is.override = (req, res) => req.url === jwks && Boolean(res.writeHead(302, { Location: "/elsewhere" }).end());
      },
      "keys of the issuer: answered 302",
    ],
    "no usable key": [
      (is) => {
        is.keys = [];
      },
      "no usable key",
    ],
    "policy is about another resource": [
      (is) => {
        is.spoilPolicy = (b) => {
          b["sub"] = "res_other";
        };
      },
      "another resource",
    ],
  };
  for (const [name, [spoil, why]] of Object.entries(cannot)) {
    test(`waits and says why: ${name}`, async (t) => {
      const is = await TestIssuer.start();
      spoil(is);
      const log = new MemoryLog();
      const ostiary = new Ostiary({ issuer: is.url, resourceId, logger: log, startTimeout: 20 });
      t.after(async () => {
        await ostiary.close();
        await is.close();
      });
      await assert.rejects(ostiary.ready(), NotReady);
      await eventually("it says why", () => log.count(why) > 0);
      assert.equal(ostiary.policy, undefined);
    });
  }

  test("answers 503 until it is over, and goes on by itself", async (t) => {
    for (const framework of ["fetch", "express", "hono"] as const) {
      let back = (): void => undefined;
      const started = World.start(t, framework, { startTimeout: 50 }, (is) => {
        back = is.goDown();
      });
      await assert.rejects(started, NotReady);
      back();
    }
    const w = new World();
    assert.equal(w.seen.length, 0);
  });

  test("does not wait for a feed that hangs", async (t) => {
    const w = await World.start(t, "fetch", { startTimeout: 2_000 }, (is) => {
      is.override = (req) => (req.url ?? "").startsWith(feedPath); // and never answers
    });
    assert.equal((await w.tool(await w.token("data:read"), "read_data")).status, 200);
  });

  test("of an issuer that comes up later is waited for", async (t) => {
    const is = await TestIssuer.start();
    const back = is.goDown();
    const ostiary = new Ostiary({ issuer: is.url, resourceId, logger: new MemoryLog() });
    t.after(async () => {
      await ostiary.close();
      await is.close();
    });
    const ready = ostiary.ready();
    await eventually("it asks", () => is.fetched(metadataPath) > 1);
    back();
    await ready;
    assert.equal(ostiary.policy?.revision, 1);
  });

  test("refuses options that cannot work", () => {
    const good: OstiaryOptions = { issuer: "https://issuer.example", resourceId: "res_x", logger: new MemoryLog() };
    for (const bad of [
      { issuer: "/i/acme" },
      { issuer: "ftp://x.example" },
      { issuer: "https://x.example/" },
      { issuer: "https://x.example?a" },
      { issuer: "https://u:p@x.example" },
      { resourceId: "" },
      { skew: 121 },
      { skew: -1 },
      { skew: NaN },
      { policy: testDocument("nonsense") },
      { policy: testDocument(), identifier: "https://x.example" },
    ]) {
      assert.throws(() => new Ostiary({ ...good, ...bad }), JSON.stringify(bad));
    }
  });

  test("needs no policy of the issuer's when it is given one", async (t) => {
    const policy = testDocument("https://static.example/mcp");
    const w = await World.start(t, "fetch", { policy });
    assert.equal(w.ostiary.policy, policy);
    assert.equal(w.issuer.fetched(policyPath), 0);
    assert.equal(
      (await w.tool(await w.token("data:read", { aud: "https://static.example/mcp" }), "read_data")).status,
      200,
    );
  });
});

describe("the policy", () => {
  test("changes while running", async (t) => {
    const w = await World.start(t, "fetch");
    const token = await w.token("data:read");
    assert.equal((await w.tool(token, "write_data")).status, 403);
    w.issuer.publish((doc) => {
      (doc.tools ?? {})["write_data"] = { scopes: ["data:read"], match: "all" };
    });
    await eventually("the new map is in force", async () => (await w.tool(token, "write_data")).status === 200);
    w.issuer.publish((doc) => {
      delete (doc.tools ?? {})["read_data"];
    });
    await eventually("the tool is gone", async () => (await w.tool(token, "read_data")).body.includes("Unknown tool"));
  });

  test("that did not change is not sent again", async (t) => {
    const w = await World.start(t, "fetch", { pollEvery: 2 });
    const before = w.ostiary.policy;
    const asked = w.issuer.fetched(policyPath);
    await eventually("some polls", () => w.issuer.fetched(policyPath) > asked + 3);
    assert.equal(w.ostiary.policy, before);
  });

  const spoiled: Record<string, (is: TestIssuer, stranger: Signer) => void> = {
    "older revision": (is) => {
      is.doc.revision = 0;
    },
    "other issuer": (is) => {
      is.spoilPolicy = (b) => {
        b["iss"] = "https://evil.example";
      };
    },
    "other subject": (is) => {
      is.spoilPolicy = (b) => {
        b["sub"] = "res_globex";
      };
    },
    "other resource": (is) => {
      is.doc.resource.id = "res_globex";
    },
    expired: (is) => {
      is.spoilPolicy = (b) => {
        b["exp"] = is.clock.seconds - 3600;
      };
    },
    "without expiry": (is) => {
      is.spoilPolicy = (b) => {
        b["exp"] = undefined;
      };
    },
    "from the future": (is) => {
      is.spoilPolicy = (b) => {
        b["iat"] = is.clock.seconds + 3600;
        b["exp"] = is.clock.seconds + 7200;
      };
    },
    "broken identifier": (is) => {
      is.doc.resource.identifier = "nonsense";
    },
    "no document": (is) => {
      is.spoilPolicy = (b) => {
        b["policy"] = null;
      };
    },
    "other type": (is) => {
      is.policyType = "at+jwt";
      is.spoilPolicy = () => undefined;
    },
    "other key": (is, stranger) => {
      is.policyKey = stranger;
      is.spoilPolicy = () => undefined;
    },
    "not signed": (is) => {
      is.override = (req, res) => req.url === policyPath && Boolean(res.end('{"policy":{"revision":9}}'));
    },
    "larger than any policy": (is) => {
      is.override = (req, res) => req.url === policyPath && Boolean(res.end(Buffer.alloc(9 * 2 ** 20, "a")));
    },
    "an outage": (is) => {
      is.override = (req, res) => req.url === policyPath && Boolean(res.writeHead(418).end());
    },
  };
  for (const [name, spoil] of Object.entries(spoiled)) {
    test(`that is spoiled is not taken: ${name}`, async (t) => {
      const w = await World.start(t, "fetch", { pollEvery: 2 });
      w.issuer.doc = {
        ...testDocument(),
        revision: 2,
        tools: { delete_data: { scopes: ["data:read"], match: "all" } },
      };
      spoil(w.issuer, await Signer.make("key-1"));
      await eventually("it is noticed", () => w.log.count("policy cannot be renewed") > 0);
      const asked = w.issuer.fetched(policyPath);
      await eventually("more polls", () => w.issuer.fetched(policyPath) > asked + 2);
      assert.equal(
        (await w.tool(await w.token("data:read", { aud: "https://mcp.acme.example/mcp" }), "delete_data")).status,
        403,
      );
      assert.equal(
        (await w.tool(await w.token("data:read", { aud: "https://mcp.acme.example/mcp" }), "read_data")).status,
        200,
      );
      assert.equal(w.log.count("policy cannot be renewed"), 1);
      w.issuer.spoilPolicy = w.issuer.policyKey = w.issuer.override = undefined;
      w.issuer.policyType = "ostiary-policy+jwt";
      w.issuer.doc = { ...testDocument(), revision: 3 };
      await eventually("it recovers", () => w.ostiary.policy?.revision === 3);
      assert.equal(w.log.count("policy can be renewed again"), 1);
    });
  }

  test("in shadow mode is recorded, not acted upon; what was taken back or stopped is", async (t) => {
    const calls: string[] = [];
    const w = await World.start(
      t,
      "fetch",
      {
        observe: (c) => calls.push(`${c.tool} ${String(c.allowed)} ${String(c.shadowed ?? false)} ${c.reason}`),
      },
      (is) => {
        is.doc.mode = "shadow";
      },
    );
    const token = await w.token("data:read");
    for (const tool of ["read_data", "delete_data", "unmapped", "never_heard_of"]) {
      assert.equal((await w.tool(token, tool)).status, 200);
    }
    assert.equal(w.seen.length, 4);
    assert.deepEqual(calls, [
      "read_data true false allowed",
      "delete_data true true insufficient_scope",
      "unmapped true true unmapped_tool",
      "never_heard_of true true unknown_tool",
    ]);
    assert.equal(w.log.count("call would be denied"), 3);
    assert.equal((await w.tool(undefined, "read_data")).status, 401);
    w.issuer.change({ stops: [{ kind: "tool", value: "delete_data" }] });
    await eventually("the stop bites", async () => (await w.tool(token, "delete_data")).body.includes("-32013"));
    w.issuer.change({ ended: { grants: ["grt_1"] } });
    await eventually("the revocation bites", async () => (await w.tool(token, "read_data")).status === 401);
  });
});
