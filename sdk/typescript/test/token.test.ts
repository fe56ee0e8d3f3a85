import assert from "node:assert/strict";
import { test } from "node:test";

import { CompactSign } from "jose";

import { TokenError } from "../src/index.js";
import { b64, Signer } from "./issuer.js";
import { callBody, eventually, paramsOf, World } from "./world.js";

test("good tokens pass", async (t) => {
  const w = await World.start(t, "fetch");
  const rs = await Signer.make("key-rs", "RS256");
  const ed = await Signer.make("key-ed", "EdDSA");
  w.issuer.keys.push(rs, ed);
  w.issuer.clock.advance(60); // past the gap between two fetches of keys
  const now = w.issuer.clock.seconds;
  const tokens: Record<string, string> = {
    ES256: await w.token("data:read"),
    RS256: await w.issuer.token("data:read", {}, rs),
    EdDSA: await w.issuer.token("data:read", {}, ed),
    "long form of type": await w.issuer.signer.sign(w.issuer.claims("data:read"), { typ: "application/AT+JWT" }),
    "audience in a list": await w.token("data:read", {
      aud: ["https://other.example", "https://mcp.acme.example/mcp"],
    }),
    "just expired": await w.token("data:read", { exp: now - 5 }),
    "fractional times": await w.token("data:read", { exp: now + 60.5 }),
    "no organization": await w.token("data:read", { org_id: undefined }),
  };
  for (const [name, token] of Object.entries(tokens)) {
    assert.equal((await w.tool(token, "read_data")).status, 200, name);
    assert.equal((await w.tool(token, "read_data")).status, 200, name + ", remembered");
  }
});

test("bad tokens are refused", async (t) => {
  const w = await World.start(t, "fetch");
  const key = w.issuer.signer;
  const good = await w.token("data:read");
  const [head = "", body = "", signature = ""] = good.split(".");
  const claims = w.issuer.claims("data:read");
  const at = { typ: "at+jwt" };
  const now = w.issuer.clock.seconds;
  const stranger = await Signer.make(key.kid);
  const { kid } = key;
  const withHead = (h: Record<string, unknown>): string =>
    b64(JSON.stringify({ alg: "ES256", typ: "at+jwt", kid, ...h })) + "." + body;
  const w_ = (edits: Record<string, unknown>): Promise<string> => w.token("data:read", edits);
  const embedded = new CompactSign(Buffer.from(JSON.stringify(claims)))
    .setProtectedHeader({ alg: "ES256", typ: "at+jwt", kid, jwk: stranger.jwk })
    .sign(stranger.key);
  const cases: Record<string, string | Promise<string>> = {
    "alg none": withHead({ alg: "none" }) + ".",
    "alg none, signature kept": withHead({ alg: "none" }) + "." + signature,
    "alg None in odd case": withHead({ alg: "nOnE" }) + ".",
    "HMAC with the public key": key.hmac(claims),
    "alg of another key type": withHead({ alg: "RS256" }) + "." + signature,
    "EdDSA on an EC key": withHead({ alg: "EdDSA" }) + "." + signature,
    "other key, same kid": stranger.sign(claims, at),
    "unknown kid": (await Signer.make("key-unknown")).sign(claims, at),
    "unsupported curve": (await Signer.make("key-384", "ES384")).sign(claims, at),
    "no kid": key.sign(claims, { ...at, kid: undefined }),
    "kid is a number": key.sign(claims, { ...at, kid: 1 }),
    "key inside the token": embedded,
    "critical header": withHead({ crit: ["x"], x: 1 }) + "." + signature,
    "payload changed": `${head}.${b64(JSON.stringify(w.issuer.claims("data:read data:delete")))}.${signature}`,
    "signature cut": `${head}.${body}.`,
    "signature padded": good + "==",
    "two tokens glued": `${good}.${good}`,
    "not a token": "hello",
    "only dots": "..",
    "type JWT": key.sign(claims, { typ: "JWT" }),
    "type missing": key.sign(claims, {}),
    "a signed policy": key.sign(claims, { typ: "ostiary-policy+jwt" }),
    "a signed feed": key.sign(claims, { typ: "ostiary-revocations+jwt" }),
    "type almost right": key.sign(claims, { typ: "x/at+jwt" }),
    "other issuer": w_({ iss: "https://evil.example" }),
    "issuer with slash": w_({ iss: w.issuer.url + "/" }),
    "no issuer": w_({ iss: undefined }),
    "other audience": w_({ aud: "https://mcp.globex.example/mcp" }),
    "audience with slash": w_({ aud: "https://mcp.acme.example/mcp/" }),
    "audience is a prefix": w_({ aud: "https://mcp.acme.example" }),
    "audience list without it": w_({ aud: ["https://mcp.globex.example/mcp"] }),
    "empty audience": w_({ aud: [] }),
    "no audience": w_({ aud: undefined }),
    "audience is an object": w_({ aud: { "https://mcp.acme.example/mcp": true } }),
    "audience list with more than texts": w_({ aud: ["https://mcp.acme.example/mcp", 1] }),
    expired: w_({ exp: now - 60 }),
    "expired long ago": w_({ exp: 1 }),
    "no expiry": w_({ exp: undefined }),
    "expiry beyond reason": w_({ exp: 1e300 }),
    "expiry is a text": w_({ exp: "9999999999" }),
    "negative expiry": w_({ exp: -5 }),
    "not before tomorrow": w_({ nbf: now + 86400 }),
    "issued tomorrow": w_({ iat: now + 86400 }),
    "no issue time": w_({ iat: undefined }),
    "no subject": w_({ sub: undefined }),
    "subject is a number": w_({ sub: 1 }),
    "no client": w_({ client_id: undefined }),
    "line break in subject": w_({ sub: "usr_ann\r\nOstiary-Scopes: data:delete" }),
    "line break in client": w_({ client_id: "a\nb" }),
    "line break in host": w_({ host: "a\nb" }),
    "subject beyond ASCII": w_({ sub: "usr_änn" }),
    "grant is a list": w_({ grant_id: ["grt_1"] }),
    "scope is a list": w_({ scope: ["data:read"] }),
    "claims are a list": key.sign('["iss"]', at),
    "claims are not JSON": key.sign("{", at),
    "claim twice": key.sign(JSON.stringify(claims).replace("{", '{"aud":"https://x.example",'), at),
    "claim in capitals": key.sign(JSON.stringify(claims).replace('"sub"', '"SUB"'), at),
    encrypted: "a.b.c.d.e",
  };
  for (const [name, token] of Object.entries(cases)) {
    for (const _ of ["first", "again"]) {
      const a = await w.tool(await token, "read_data");
      assert.equal(a.status, 401, name);
      assert.match(a.headers["www-authenticate"] ?? "", /^Bearer error="invalid_token", /, name);
    }
  }
  assert.equal(w.seen.length, 0);
  await assert.rejects(w.ostiary.verify("a".repeat(16 * 2 ** 10 + 1)), TokenError); // longer than any token
});

test("a token of another tenant is refused", async (t) => {
  const acme = await World.start(t, "fetch");
  const globex = await World.start(t, "fetch");
  // Same kid, same user, same client, even the same audience: another issuer's key is another issuer's key.
  assert.equal((await acme.tool(await globex.token("data:read", { iss: acme.issuer.url }), "read_data")).status, 401);
  assert.equal((await acme.tool(await globex.token("data:read"), "read_data")).status, 401);
  assert.equal((await globex.tool(await globex.token("data:read"), "read_data")).status, 200);
});

test("remembered tokens still expire", async (t) => {
  const w = await World.start(t, "fetch");
  const token = await w.token("data:read");
  assert.equal((await w.tool(token, "read_data")).status, 200);
  w.issuer.clock.advance(3660);
  const a = await w.tool(token, "read_data");
  assert.equal(a.status, 401);
  assert.match(a.headers["www-authenticate"] ?? "", /has expired/);
});

test("a clock that is set back brings no expired token back", async (t) => {
  const w = await World.start(t, "fetch");
  const token = await w.token("data:read", { exp: w.issuer.clock.seconds + 60 });
  w.issuer.clock.advance(7200);
  w.issuer.change({});
  await eventually("the feed of now is there", () => w.ostiary.situation().feed.sequence === 2);
  w.issuer.clock.advance(-7200);
  assert.equal((await w.tool(token, "read_data")).status, 401);
});

test("a withdrawn key withdraws what it signed", async (t) => {
  const w = await World.start(t, "fetch");
  const old = await w.token("data:read");
  assert.equal((await w.tool(old, "read_data")).status, 200);
  w.issuer.keys = [await Signer.make("key-1")]; // same kid, another key
  w.issuer.clock.advance(301);
  await eventually(
    "the token of the replaced key is refused",
    async () => (await w.tool(old, "read_data")).status === 401,
  );
  assert.equal((await w.tool(await w.token("data:read"), "read_data")).status, 200);
});

test("the audience follows the policy", async (t) => {
  const w = await World.start(t, "fetch");
  const token = await w.token("data:read");
  assert.equal((await w.tool(token, "read_data")).status, 200);
  w.issuer.publish((doc) => {
    doc.resource.identifier = "https://new.acme.example/mcp";
  });
  await eventually(
    "a token for the former identifier is refused",
    async () => (await w.tool(token, "read_data")).status === 401,
  );
});

test("the Authorization header has one form", async (t) => {
  for (const framework of ["fetch", "express"] as const) {
    const w = await World.start(t, framework);
    const token = await w.token("data:read");
    const cases: [string, string[], number, boolean][] = [
      ["scheme in lower case", ["bearer " + token], 200, true],
      ["two spaces", ["Bearer  " + token], 200, true],
      ["basic", ["Basic dTpw"], 401, false],
      ["no scheme", [token], 401, false],
      ["empty", [""], 401, false],
      ["scheme only", ["Bearer"], 401, true],
      ["two headers", ["Bearer " + token, "Bearer " + token], 401, true],
      ["two tokens", [`Bearer ${token} ${token}`], 401, true],
      ["list", [`Bearer ${token},Bearer x`], 401, true],
    ];
    for (const [name, values, status, presented] of cases) {
      const headers = values.map((v) => "Authorization: " + v);
      const a = await w.call("POST", "/mcp", { body: callBody(1, "read_data"), headers });
      assert.equal(a.status, status, `${framework}, ${name}`);
      if (status === 401) {
        assert.equal(paramsOf(a.headers["www-authenticate"]).has("error"), presented, `${framework}, ${name}`);
      }
    }
  }
});

test("an empty scope opens nothing, and what cannot be a scope is none", async (t) => {
  const w = await World.start(t, "fetch");
  assert.equal((await w.tool(await w.token(""), "read_data")).status, 403);
  assert.equal((await w.tool(await w.token("data:read\u0000 dätä"), "read_data")).status, 403);
  assert.equal((await w.tool(await w.token(" \t data:read\n"), "read_data")).status, 200);
});
