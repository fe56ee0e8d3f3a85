// What both generations of the TypeScript SDK ask of an application: a place for tokens, a way to open a browser, and a
// callback. Everything else is the SDK's own.
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';

export function say(step, fields = {}) {
  console.log(JSON.stringify({ step, ...fields }));
}

/** privateKey reads the key of a client that has a metadata document with the public half. */
export async function privateKey(file) {
  const jwk = JSON.parse(await readFile(file, 'utf8'));
  return { kid: jwk.kid, key: await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']) };
}

/** text joins the text blocks of a tool's answer. */
export function text(result) {
  if (result.isError) throw new Error(`the tool failed: ${JSON.stringify(result.content)}`);
  return result.content.filter((block) => block.type === 'text').map((block) => block.text).join('\n');
}

/** listen starts the loopback callback of an application: a random port, as RFC 8252 §7.3 has it. */
export async function listen() {
  const waiting = [];
  const arrived = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url, 'http://localhost');
    response.setHeader('connection', 'close');
    if (url.pathname !== '/callback') {
      response.writeHead(404).end();
      return;
    }
    response.end('Done. You can close this window.');
    const resolve = waiting.shift();
    if (resolve) resolve(url.searchParams);
    else arrived.push(url.searchParams);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://localhost:${server.address().port}/callback`,
    next: () => arrived.length > 0 ? Promise.resolve(arrived.shift()) : new Promise((resolve) => waiting.push(resolve)),
    close: () => server.close(),
  };
}

/** Provider keeps one session in memory. */
export class Provider {
  /** documentUrl is the client's metadata document; without one the SDK registers the client. */
  constructor(redirectUrl, documentUrl) {
    this.redirectUrl = redirectUrl;
    this.clientMetadataUrl = documentUrl || undefined;
  }

  get clientMetadata() {
    return {
      client_name: 'Ostiary e2e',
      redirect_uris: [this.redirectUrl],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      application_type: 'native',
    };
  }

  state() {
    this.sentState = crypto.randomUUID();
    return this.sentState;
  }

  clientInformation() { return this.client; }
  saveClientInformation(client) { this.client = client; }
  tokens() { return this.saved; }
  saveTokens(tokens) { this.saved = tokens; }
  codeVerifier() { return this.verifier; }
  saveCodeVerifier(verifier) { this.verifier = verifier; }
  discoveryState() { return this.discovery; }
  saveDiscoveryState(state) { this.discovery = state; }

  invalidateCredentials(scope) {
    if (scope === 'all' || scope === 'tokens') this.saved = undefined;
    if (scope === 'all' || scope === 'client') this.client = undefined;
    if (scope === 'all' || scope === 'verifier') this.verifier = undefined;
    if (scope === 'all' || scope === 'discovery') this.discovery = undefined;
  }

  redirectToAuthorization(url) {
    spawn('xdg-open', [url.href], { stdio: 'ignore', detached: true }).unref();
  }

  /** expire makes the server refuse the access token, as it would an hour later. */
  expire() {
    this.saved = { ...this.saved, access_token: 'expired' };
  }
}
