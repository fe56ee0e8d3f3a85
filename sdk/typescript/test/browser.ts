import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";

/** A page as it came, with where it came from. */
export interface Page {
  url: string;
  status: number;
  text: string;
  location: string | undefined;
}

const redirect = "http://127.0.0.1/callback"; // nothing listens there: the code is read from the address

/** A browser without script: keeps cookies, follows redirects, sends forms. */
export class Browser {
  readonly #cookies = new Map<string, { value: string; path: string }>();

  /** Follows redirects until one leads to the client. */
  async open(url: string, form?: URLSearchParams): Promise<Page> {
    const cookies = [...this.#cookies]
      .filter(([, c]) => new URL(url).pathname.startsWith(c.path))
      .map(([name, c]) => `${name}=${c.value}`);
    const answer = await fetch(url, {
      redirect: "manual",
      headers: { Cookie: cookies.join("; "), "Sec-Fetch-Site": "same-origin" },
      ...(form !== undefined && { method: "POST", body: form }),
    });
    for (const line of answer.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      this.#cookies.set(name, { value, path: /;\s*path=([^;]+)/i.exec(line)?.[1] ?? "/" });
    }
    const target = answer.headers.get("location");
    const location = target === null ? undefined : new URL(target, url).href;
    if (location === undefined || location.startsWith(redirect)) {
      return { url, status: answer.status, text: await answer.text(), location };
    }
    await answer.body?.cancel();
    return this.open(location);
  }

  /** Sends the first form of a page that has a field of this name, filled in. */
  async send(page: Page, field: string, fill: Record<string, string | string[]>): Promise<Page> {
    for (const [whole, attributes = ""] of page.text.matchAll(/<form\b([^>]*)>.*?<\/form>/gs)) {
      const inputs = [...whole.matchAll(/<(input|button)\b([^>]*)>/g)].map(([, tag, a = ""]) => ({
        tag,
        name: attribute(a, "name"),
        type: attribute(a, "type"),
        value: attribute(a, "value"),
      }));
      if (!inputs.some((i) => i.name === field)) {
        continue;
      }
      const form = new URLSearchParams();
      for (const { tag, name, type, value } of inputs) {
        if (tag === "input" && name !== "" && !["checkbox", "submit"].includes(type) && !(name in fill)) {
          form.append(name, value);
        }
      }
      for (const [name, values] of Object.entries(fill)) {
        [values].flat().forEach((value) => {
          form.append(name, value);
        });
      }
      return this.open(new URL(attribute(attributes, "action"), page.url).href, form);
    }
    throw new Error(`${page.status}: no form with "${field}" at ${new URL(page.url).pathname}`);
  }
}

function attribute(attributes: string, name: string): string {
  const value = new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(attributes)?.[1] ?? "";
  return value
    .replaceAll("&#34;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");
}

/** What a host has after a user has allowed something. */
export interface Connection {
  token: string;
  revoke(): Promise<void>;
}

/** Connects to a resource with exactly these scopes, by the whole flow a host goes through. */
export async function connect(o: {
  issuer: string;
  resource: string;
  email: string;
  password: string;
  scopes: string[];
}): Promise<Connection> {
  const { origin, pathname } = new URL(o.issuer);
  const metadata = await json<Record<string, string>>(
    fetch(`${origin}/.well-known/oauth-authorization-server${pathname}`),
  );
  const endpoint = (name: string): string => metadata[name] ?? "";
  const registration = {
    client_name: "SDK test",
    redirect_uris: [redirect],
    token_endpoint_auth_method: "none",
    application_type: "native",
  };
  const { client_id: client } = await json<{ client_id: string }>(
    fetch(endpoint("registration_endpoint"), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(registration),
    }),
  );
  const verifier = randomBytes(36).toString("base64url");
  const authorize = new URL(endpoint("authorization_endpoint"));
  authorize.search = new URLSearchParams({
    response_type: "code",
    client_id: client,
    redirect_uri: redirect,
    state: "here",
    resource: o.resource,
    scope: o.scopes.join(" "),
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
  }).toString();
  const browser = new Browser();
  const signIn = await browser.open(authorize.href);
  const consent = await browser.send(signIn, "password", { email: o.email, password: o.password });
  const back = await browser.send(consent, "decision", { scope: o.scopes, decision: "approve" });
  const { searchParams: answer } = new URL(back.location ?? "http://nowhere.example");
  assert.equal(answer.get("iss"), o.issuer, back.text);
  const token = await json<{ access_token: string; refresh_token: string; scope: string }>(
    fetch(endpoint("token_endpoint"), {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "authorization_code",
        code: answer.get("code") ?? "",
        redirect_uri: redirect,
        client_id: client,
        code_verifier: verifier,
        resource: o.resource,
      }),
    }),
  );
  assert.deepEqual(token.scope.split(" ").sort(), [...o.scopes].sort());
  return {
    token: token.access_token,
    async revoke() {
      // RFC 7009, as a host does when its user signs out of it
      const form = new URLSearchParams({ token: token.refresh_token, client_id: client });
      assert.equal((await fetch(endpoint("revocation_endpoint"), { method: "POST", body: form })).status, 200);
    },
  };
}

async function json<T>(answer: Promise<Response>): Promise<T> {
  const a = await answer;
  assert.ok(a.ok, `${a.status} ${a.url}: ${await a.clone().text()}`);
  return (await a.json()) as T;
}
