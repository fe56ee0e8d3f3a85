// openid-client with its defaults, which are strict: discovery, registration, a sign-in, userinfo, a refresh, a sign-out.
// Arguments: issuer, MCP server, token endpoint authentication method, and for a client that has a metadata document instead
// of a registration its URL and the file of its private key.
import { spawn } from 'node:child_process';
import * as oidc from 'openid-client';
import { listen, privateKey, say } from './provider.mjs';

const [issuer, resource, method, documentUrl, keyFile] = [new URL(process.argv[2]), ...process.argv.slice(3)];
const callback = await listen();
const authenticate = await {
  none: () => oidc.None(), client_secret_basic: () => oidc.ClientSecretBasic(), client_secret_post: () => oidc.ClientSecretPost(),
  private_key_jwt: async () => oidc.PrivateKeyJwt(await privateKey(keyFile)),
}[method]();
const strict = { execute: [oidc.allowInsecureRequests, oidc.enableNonRepudiationChecks] };
const config = documentUrl ? await oidc.discovery(issuer, documentUrl, {}, authenticate, strict) : await oidc.dynamicClientRegistration(issuer, {
  client_name: 'Ostiary e2e', redirect_uris: [callback.url], post_logout_redirect_uris: [callback.url],
  token_endpoint_auth_method: method, grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'],
}, authenticate, strict);

const verifier = oidc.randomPKCECodeVerifier();
const checks = { pkceCodeVerifier: verifier, expectedState: oidc.randomState(), expectedNonce: oidc.randomNonce(), idTokenExpected: true };
open(oidc.buildAuthorizationUrl(config, {
  redirect_uri: callback.url, scope: 'openid email data:read', resource, state: checks.expectedState, nonce: checks.expectedNonce,
  code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
}));
const back = new URL(callback.url);
back.search = (await callback.next()).toString();
const tokens = await oidc.authorizationCodeGrant(config, back, checks, { resource });
const claims = tokens.claims();
say('signed-in', { scope: tokens.scope, claims });
say('userinfo', { claims: await oidc.fetchUserInfo(config, tokens.access_token, claims.sub) });

const refreshed = await oidc.refreshTokenGrant(config, tokens.refresh_token, { resource });
say('refreshed', { claims: refreshed.claims() });

open(oidc.buildEndSessionUrl(config, {
  id_token_hint: refreshed.id_token, post_logout_redirect_uri: callback.url, state: 'signed out',
}));
const after = await callback.next();
if (after.get('state') !== 'signed out') throw new Error(`after the sign-out: ${after}`);
say('signed-out');

await oidc.tokenRevocation(config, refreshed.refresh_token);
try {
  await oidc.fetchUserInfo(config, refreshed.access_token, claims.sub);
} catch (error) {
  if (!(error instanceof oidc.WWWAuthenticateChallengeError)) throw error;
  const [challenge] = error.cause;
  say('refused', { error: `${error.status} ${challenge.scheme} ${challenge.parameters.error}` });
}
callback.close();
say('done');

function open(url) {
  spawn('xdg-open', [url.href], { stdio: 'ignore', detached: true }).unref();
}
